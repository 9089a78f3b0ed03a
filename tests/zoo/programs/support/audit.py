"""An audit trail that any part of a program may append to."""

EVENTS = []
