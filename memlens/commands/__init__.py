"""What the command line does, one kind of command a file."""
