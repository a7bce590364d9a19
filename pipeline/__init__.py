"""The command line, parameters, folders and DVC graph around `transforms`."""

__version__ = "0.1.0"
