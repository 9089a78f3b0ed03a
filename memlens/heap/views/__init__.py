"""The views of a snapshot: one question a file, each a value that prints as a plain table."""
