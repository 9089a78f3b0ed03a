"""A small service with a planted leak, which ``python -m memlens demo`` runs and explains."""
