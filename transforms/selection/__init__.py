"""Which versions of which traces stay, and what is needed to choose."""
