"""Leaking programs under memlens and its peers: see __main__.py."""
