"""What feeds an allocation profile: the shared C sampler, its tables, and tracemalloc instead."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
