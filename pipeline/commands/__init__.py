"""The commands beside the stages."""
