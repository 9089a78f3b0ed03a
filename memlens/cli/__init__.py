"""The command line: ``python -m memlens``."""
