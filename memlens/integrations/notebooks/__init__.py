"""Cells of notebooks: their memory, and what they keep."""
