"""Beam over shards: an element is a part file."""
