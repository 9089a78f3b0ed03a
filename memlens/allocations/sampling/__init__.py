"""Sources of allocation samples: the shared C sampler, and tracemalloc as the fallback."""
