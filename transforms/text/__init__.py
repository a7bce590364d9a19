"""What can be seen in a text without knowing any answer: sentences, constructs, repetition, overlap."""
