"""Measure blocks and functions with tracemalloc."""
