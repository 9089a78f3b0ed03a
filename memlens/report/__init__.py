"""Presentation of values: text on terminals and elsewhere."""
