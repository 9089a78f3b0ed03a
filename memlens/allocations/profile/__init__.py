"""Allocation profiles: rows, call tree, comparison, text and file."""
