"""A small service with a planted leak: what ``python -m memlens demo`` runs and explains."""
