"""Capture the live heap, in the process or in a forked child."""
