"""Sources of allocation samples: the C sampler, its site tables, and tracemalloc as the fallback."""
