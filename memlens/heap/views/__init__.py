"""The views of a snapshot. Each is a value that prints as a plain table."""
