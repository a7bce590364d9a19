"""What a step is for, and how steps that stay are put together."""
