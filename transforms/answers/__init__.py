"""What a text says in the end: thinking and response, the answer, its value, and what only states it."""
