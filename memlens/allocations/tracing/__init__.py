"""Store tracemalloc's traces, compare them and group them."""
