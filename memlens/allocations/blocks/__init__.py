"""Measure blocks of code and function calls with tracemalloc."""
