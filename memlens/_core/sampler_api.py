"""The allocation sampler of the core: whether it is there, and what its columns mean.

``memlens._core._sampler`` is C only: hooks on the allocators cannot be written in Python. Where it
is missing, `why_unavailable` says why and the layer above falls back to tracemalloc.

``site_tables(since)`` and ``sample_tables(since)`` give a dict of columns, one bytes object each,
to be read with ``memoryview(column).cast(COLUMNS[name])``:

- **strings**: ``string_offset`` (one more than there are strings) into ``string_bytes``, UTF-8 with
  ``surrogatepass``
- **locations**: ``location_function``, ``location_file`` (strings), ``location_line`` (0: unknown)
- **stacks**: ``stack_offset`` (one more than there are stacks) into ``stack_location``, innermost
  frame first. Stack 0 has no frame: native code without a Python frame
- **buckets**, one a stack, domain and thread: ``bucket_number`` (stable, never used again),
  ``bucket_stack``, ``bucket_domain`` (0 PyMem, 1 PyObject), ``bucket_thread`` (number of the thread
  state, as in ``threads()``; 0: none), ``bucket_thread_ident``. Sums over all samples since the
  start: ``allocated_bytes``, ``allocated_count``, each with ``..._variance`` and ``..._largest``
  (the largest variance that one sample brought in), and ``allocated_samples``. The same for samples
  from number ``since`` on that are alive, as ``live_...``; ``live_births_ns`` (sum) and
  ``live_oldest_ns`` on the clock of ``now_ns()``. Buckets 0 and 1 (one a domain) hold what found no
  room and what was evicted
- ``next_sequence`` (one item): the number that the next sample gets. ``starts`` (one item): changes
  when the sampler is started again, so that numbers of samples and buckets from before mean nothing.
  ``sums_begun`` (one item): changes when the sums began again, also by ``forget_sums()``

``sample_tables`` adds the live **samples**: ``sample_address`` (of the block: an object begins
there or 16, 32 or 48 bytes later, behind its collector's header and inline pointers),
``sample_size`` (bytes asked for), ``sample_probability`` (the sample stands for 1 / p blocks),
``sample_birth_ns``, ``sample_sequence``, ``sample_bucket``.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from memlens._uninterrupted import call_and_store

__all__ = (
    "COLUMNS",
    "DOMAINS",
    "OwnWork",
    "load_sampler",
    "pymalloc_statistics",
    "read_samples",
    "why_unavailable",
)

DOMAINS = ("mem", "object")

# Column -> typecode of `array.array` (and of `memoryview.cast`).
COLUMNS: dict[str, str] = {
    "string_bytes": "B",
    "string_offset": "I",
    "location_function": "I",
    "location_file": "I",
    "location_line": "I",
    "stack_offset": "I",
    "stack_location": "I",
    "bucket_number": "Q",
    "bucket_stack": "I",
    "bucket_domain": "I",
    "bucket_thread": "Q",
    "bucket_thread_ident": "Q",
    "allocated_bytes": "d",
    "allocated_bytes_variance": "d",
    "allocated_bytes_largest": "d",
    "allocated_count": "d",
    "allocated_count_variance": "d",
    "allocated_count_largest": "d",
    "allocated_samples": "Q",
    "live_bytes": "d",
    "live_bytes_variance": "d",
    "live_bytes_largest": "d",
    "live_count": "d",
    "live_count_variance": "d",
    "live_count_largest": "d",
    "live_samples": "Q",
    "live_births_ns": "d",
    "live_oldest_ns": "Q",
    "next_sequence": "Q",
    "starts": "Q",
    "sums_begun": "Q",
    "sample_address": "Q",
    "sample_size": "Q",
    "sample_probability": "d",
    "sample_birth_ns": "Q",
    "sample_sequence": "Q",
    "sample_bucket": "I",
}


def load_sampler() -> ModuleType:
    """Return the C sampler. Raises ImportError where it is missing, unfit, or MEMLENS_PURE is 1."""
    if os.environ.get("MEMLENS_PURE") == "1":
        raise ImportError("MEMLENS_PURE=1 asks for pure Python; the sampler is C only")
    from memlens._core import _sampler

    return _sampler


def why_unavailable() -> str | None:
    """Return None where the sampler can be used, else the reason in a sentence."""
    try:
        load_sampler()
    except (ImportError, UnicodeError) as error:
        return str(error)
    return None


def read_samples() -> dict[str, bytes] | None:
    """Return the tables of the running sampler with its live samples; None where none runs."""
    sampler = _loaded()
    if sampler is None or not sampler.health()["running"]:
        return None
    try:
        tables: dict[str, bytes] = sampler.sample_tables(0)
    except RuntimeError:
        return None  # another thread has stopped it since
    return tables


class OwnWork:
    """Leaves out what this thread allocates in the block: it is memlens's, not the program's.

    The thread counts again after the block, also if a signal handler raises just before or after it.
    """

    __slots__ = ("_began",)

    def __init__(self) -> None:
        self._began: list[bool] = []  # whether this block has left the thread out

    def __enter__(self) -> None:
        sampler = _loaded()
        if sampler is not None:
            call_and_store(self._began, sampler.suppress, True)

    def __exit__(self, *_: object) -> None:
        self._end()

    def __del__(self) -> None:
        if hasattr(self, "_began"):  # else a signal handler has raised before it was set
            self._end()

    def _end(self) -> None:
        """Count the thread in again where the block had left it out; may be repeated."""
        sampler = _loaded()
        while self._began and sampler is not None:
            if self._began[-1]:
                sampler.suppress(False)
            self._began.pop()


def pymalloc_statistics() -> str | None:
    """Return pymalloc's statistics although the sampler hooks it; None if no sampler is loaded."""
    sampler = _loaded()
    text: str | None = None if sampler is None else sampler.pymalloc_statistics()
    return text


def _loaded() -> ModuleType | None:
    """The sampler where somebody has loaded it: who has not cannot be sampling."""
    return sys.modules.get("memlens._core._sampler")
