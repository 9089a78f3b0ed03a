"""Resident memory by use: objects, free memory in allocators, file mappings, stacks, the rest.

A leak, a cache, fragmentation and native growth look the same in RSS; here they differ. Only the
statistics of the allocators and of the kernel are read.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._own_memory import own_memory
from memlens._table import columns
from memlens._text import fitted, format_bytes
from memlens.process.allocator_memory import malloc_parts, pymalloc_parts
from memlens.process.held_memory import HeldMemory, KnowsHolders, held_memory
from memlens.process.mapped_memory import SMAPS, mappings_of_process, rss_of_psutil, stacks_among
from memlens.process.memory_part import MemoryPart

__all__ = ("MemoryBreakdown", "MemoryPart", "breakdown")

_HOW_TO_JOIN = (
    "Which objects hold native memory: print(memlens.breakdown(memlens.take_heap_snapshot()))"
)


@displayed
@dataclass(frozen=True, slots=True)
class MemoryBreakdown:
    """The resident memory of this process by use, at one instant.

    ``objects`` are Python objects of at most 512 bytes; larger ones come from malloc, which does
    not distinguish them from native memory. Free memory of the allocators is counted as mapped;
    some of it may not be resident, so ``rest`` is a lower bound, and None if the parts exceed RSS.
    ``own`` is the memory of snapshots that memlens has open; the other parts do not include it.
    ``held`` says how much has known holders, None where no snapshot was given.
    """

    rss: MemoryPart
    objects: MemoryPart
    pymalloc_free: MemoryPart
    malloc_in_use: MemoryPart
    malloc_free: MemoryPart
    file_mappings: MemoryPart
    stacks: MemoryPart
    own: MemoryPart
    rest: MemoryPart
    allocated_blocks: int
    held: HeldMemory | None = None

    @property
    def parts(self) -> tuple[MemoryPart, ...]:
        """All parts, without the total."""
        return (
            self.objects,
            self.pymalloc_free,
            self.malloc_in_use,
            self.malloc_free,
            self.file_mappings,
            self.stacks,
            self.own,
            self.rest,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers and their sources as JSON-ready values."""
        fields = ["rss", "objects", "pymalloc_free", "malloc_in_use", "malloc_free"]
        fields += ["file_mappings", "stacks", "own", "rest"]
        out: dict[str, Any] = {
            f"{field}_bytes": getattr(self, field).size_bytes for field in fields
        }
        out["allocated_blocks"] = self.allocated_blocks
        out["held"] = None if self.held is None else self.held.to_dict()
        out["sources"] = {field: getattr(self, field).source for field in fields}
        return out

    def __repr__(self) -> str:
        known = [part for part in (self.rss, self.objects, self.malloc_in_use) if part.size_bytes]
        sizes = ", ".join(f"{part.name} {format_bytes(part.size_bytes or 0)}" for part in known)
        return f"<MemoryBreakdown: {sizes}>"

    def __str__(self) -> str:
        total = self.rss.size_bytes
        rows = []
        for part in (self.rss, *self.parts):
            size = part.size_bytes
            share = f"{100 * size / total:.1f} %" if size is not None and total else ""
            rows.append(
                (part.name, "unknown" if size is None else format_bytes(size), share, part.source)
            )
        table = columns(
            ("memory", "size", "of RSS", "source"),
            rows,
            right=(False, True, True, False),
            optional=("of RSS",),
            wrap=True,
        )
        return f"{table}\n\n{fitted(_HOW_TO_JOIN) if self.held is None else self.held}"


def breakdown(snapshot: KnowsHolders | None = None) -> MemoryBreakdown:
    """Return the resident memory of this process by use.

    ``snapshot``: a `HeapSnapshot` of this process, taken just before; then ``held`` says how much of
    the memory that malloc and mmap have in use has known holders, by library.

    Walks pymalloc's pool headers and the kernel's list of mappings: milliseconds, or tens of
    milliseconds for a heap of gigabytes. A part that the platform does not report is None, with
    the reason in its ``source``. Raises ``OptionError`` for a snapshot of another process.
    """
    own = own_memory()
    pymalloc = pymalloc_parts()
    malloc = malloc_parts(own.copied_bytes)
    mappings, why = mappings_of_process()
    if mappings is None:
        rss = rss_of_psutil()
        files, stacks = MemoryPart("file mappings", None, why), MemoryPart("stacks", None, why)
    else:
        resident = sum(mapping.rss_bytes for mapping in mappings)
        rss = MemoryPart("resident (RSS)", resident, SMAPS)
        stacks, of_threads = stacks_among(mappings)
        named = [m for m in mappings if m.is_of_file and m not in of_threads]
        mapped_bytes = sum(m.rss_bytes for m in named) - own.mapped_bytes
        files = MemoryPart("file mappings", max(mapped_bytes, 0), SMAPS)
    own_part = MemoryPart("memlens: open snapshots", own.total_bytes, "memlens")
    known = (*pymalloc, *malloc, files, stacks, own_part)
    rest = _rest(rss, known)
    held = None
    if snapshot is not None:
        held = held_memory(snapshot, os.getpid(), malloc[0].size_bytes, rest.size_bytes)
    return MemoryBreakdown(rss, *known, rest, sys.getallocatedblocks(), held)


def _rest(rss: MemoryPart, parts: tuple[MemoryPart, ...]) -> MemoryPart:
    name = "the rest"
    missing = [part.name for part in parts if part.size_bytes is None]
    if rss.size_bytes is None or missing:
        return MemoryPart(name, None, f"unknown: {', '.join(missing) or rss.name}")
    left = rss.size_bytes - sum(part.size_bytes or 0 for part in parts)
    if left < 0:
        return MemoryPart(
            name, None, f"parts exceed RSS by {format_bytes(-left)}: not all resident"
        )
    return MemoryPart(name, left, "RSS minus the parts: other mappings, shared memory, tables")
