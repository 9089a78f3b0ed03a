"""No data in any file without ``values=True``; files for their owner only; no links followed."""
