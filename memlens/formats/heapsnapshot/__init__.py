"""``.heapsnapshot``: heaps for Chrome DevTools, and those of V8 as snapshots of memlens."""

from __future__ import annotations

__all__: tuple[str, ...] = ()
