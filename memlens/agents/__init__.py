"""Tools for coding agents: plain functions over files of memlens, and the server that offers them."""
