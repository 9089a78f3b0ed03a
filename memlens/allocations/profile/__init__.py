"""The allocation profile: rows, call tree, comparison, text and file."""
