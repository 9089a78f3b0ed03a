"""Detectors: find objects that accumulate others, one shape of growth per file."""
