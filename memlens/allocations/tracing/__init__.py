"""Capture, compare, group and store the traces of tracemalloc."""
