"""HeldMemory: how much of the memory that malloc and mmap have in use has known holders.

A heap snapshot knows the native blocks that objects hold. What it does not know is the remainder:
memory of C code that no object holds, of objects without an adapter, and what libraries keep in
reserve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from memlens._display import displayed
from memlens._table import columns
from memlens._text import fitted, format_bytes
from memlens.errors import OptionError

__all__ = ("HeldMemory", "KnowsHolders", "held_memory")

_MAPPED = "mapped"
_IN_USE = ("cpu", "shared")  # what malloc has, and mappings without a file


class KnowsHolders(Protocol):
    """A heap snapshot, as far as `breakdown` needs one."""

    @property
    def pid(self) -> int:
        """The process identifier."""

    @property
    def large_object_bytes(self) -> int:
        """The bytes of Python objects that come from malloc."""

    def native_by_device(self, *, resident: bool = False) -> Mapping[str, Mapping[str, int]]:
        """Return the native bytes with known holders by device and library.

        ``resident``: of mappings only what is resident, where that is known.
        """


@displayed
@dataclass(frozen=True, slots=True)
class HeldMemory:
    """The memory that malloc and mmap have in use, by its holders; sizes in bytes.

    ``in_use_bytes``: by malloc and, where `MemoryBreakdown.rest` is known, in other mappings without
    a file; None if malloc does not report it. ``large_object_bytes``: Python objects of more than 512
    bytes. ``libraries``: native memory that objects hold, by library; of mappings the resident part, as
    far as the system tells it. ``unattributed_bytes``: the remainder, None if it is unknown, for the
    reason in ``why_unknown``. ``mapped_files``: what objects map of files, by library, that is
    resident; that is no part of ``in_use_bytes``.
    """

    in_use_bytes: int | None
    large_object_bytes: int
    libraries: tuple[tuple[str, int], ...]
    unattributed_bytes: int | None
    why_unknown: str
    mapped_files: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        return f"<HeldMemory: known holders {format_bytes(self.known_bytes)}>"

    @property
    def known_bytes(self) -> int:
        """What has known holders, without mapped files."""
        return self.large_object_bytes + sum(size for _, size in self.libraries)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as JSON-ready values."""
        return {
            "in_use_bytes": self.in_use_bytes,
            "known_bytes": self.known_bytes,
            "large_object_bytes": self.large_object_bytes,
            "libraries": dict(self.libraries),
            "unattributed_bytes": self.unattributed_bytes,
            "why_unknown": self.why_unknown,
            "mapped_files": dict(self.mapped_files),
        }

    def __str__(self) -> str:
        rows = [("Python objects over 512 B", self.large_object_bytes, "")]
        rows += [(library, size, "native memory of objects") for library, size in self.libraries]
        table = [
            (name, format_bytes(size), self._share(size), source) for name, size, source in rows
        ]
        left = self.unattributed_bytes
        text = "unknown" if left is None else format_bytes(left)
        why = self.why_unknown or "no object is known to hold it"
        table.append(("unattributed", text, self._share(left), why))
        table += [
            (
                f"{library}, mapped files",
                format_bytes(size),
                "",
                "beside the above: resident pages, where known",
            )
            for library, size in self.mapped_files
        ]
        headers = ("held by", "size", "of in use", "")
        total = "" if self.in_use_bytes is None else f": {format_bytes(self.in_use_bytes)}"
        head = f"In use by malloc and mmap{total}, known holders {format_bytes(self.known_bytes)}"
        right = (False, True, True, False)
        lines = columns(headers, table, right=right, wrap=True, optional=("of in use",))
        return f"{fitted(head)}\n{lines}"

    def _share(self, size: int | None) -> str:
        total = self.in_use_bytes
        return f"{100 * size / total:.1f} %" if total and size is not None else ""


def held_memory(
    snapshot: KnowsHolders, pid: int, malloc_bytes: int | None, other_bytes: int | None
) -> HeldMemory:
    """Join a snapshot of process ``pid`` with what the allocators say.

    ``malloc_bytes``: in use by malloc; ``other_bytes``: in other mappings without a file; None if
    unknown. Raises ``OptionError`` for anything but a snapshot of this process.
    """
    try:
        of_pid, large, native = snapshot.pid, snapshot.large_object_bytes, snapshot.native_by_device
    except AttributeError:
        raise OptionError(
            f"snapshot must be a HeapSnapshot, not {type(snapshot).__name__}"
        ) from None
    if of_pid != pid:
        raise OptionError(f"the snapshot is of process {of_pid}, but this is process {pid}")
    by_device = native(resident=True)
    in_use_by_library: dict[str, int] = {}
    for device in _IN_USE:
        for library, size in by_device.get(device, {}).items():
            in_use_by_library[library] = in_use_by_library.get(library, 0) + size
    libraries = _largest_first(in_use_by_library)
    mapped = _largest_first(by_device.get(_MAPPED, {}))
    in_use = None if malloc_bytes is None else malloc_bytes + (other_bytes or 0)
    known = large + sum(size for _, size in libraries)
    left, why = _unattributed(in_use, known)
    return HeldMemory(in_use, large, libraries, left, why, mapped)


def _unattributed(in_use: int | None, known: int) -> tuple[int | None, str]:
    """Return the remainder, or None and the reason."""
    if in_use is None:
        return None, "malloc does not report what is in use"
    if known > in_use:
        return None, f"known holders exceed it by {format_bytes(known - in_use)}: not all resident"
    return in_use - known, ""


def _largest_first(sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
