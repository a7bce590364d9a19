"""What a run made: numbers, page and closing lines."""
