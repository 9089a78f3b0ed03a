"""NativeBlocks: memory outside of the Python heap that objects of a snapshot hold.

Native blocks are nodes of the graph, so dominators share them out exactly. This module tells them
from objects: where each lies, whose it is, and which part of a retained size is native.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from memlens._core.layout import NodeFlag
from memlens._display import displayed
from memlens._text import format_count
from memlens.errors import SnapshotFileError
from memlens.heap.graph import checked_core

__all__ = (
    "HOST_DEVICES",
    "MAPPED",
    "NATIVE_TYPE_PREFIX",
    "SHARED",
    "AdapterNote",
    "NativeBlocks",
    "NativeKind",
    "is_native_type",
    "parse_notes",
)

MAPPED = "mapped"  # pages of a file, which the system can drop and read again
SHARED = "shared"  # memory without a file that other processes can map
HOST_DEVICES = frozenset({"cpu", MAPPED, SHARED})  # all others are memory of a device
NATIVE_TYPE_PREFIX = "native memory ("
_WHERE = {MAPPED: "in a mapped file", SHARED: "in shared memory"}
_NAMES = {MAPPED: "mapped file", SHARED: "shared memory"}
_ENDS = {  # of an adapter, or of the process that asks them all
    "crashed": "the process that asks them crashed",
    "failed": "the process that asks them failed",
    "not asked": "other threads may be using them",
    "no process": "there was no process to ask them in",
    "sent too much": "they sent too much",
    "unreadable": "a part of what they sent cannot be read",
}
_MAX_COUNT = 1 << 63
_COUNTS = ("objects", "blocks", "failed", "skipped")


def is_native_type(type_name: str) -> bool:
    """Return whether a row of the type table stands for native blocks, not for a class."""
    return type_name.startswith(NATIVE_TYPE_PREFIX)


@displayed
@dataclass(frozen=True, slots=True, order=True)
class NativeKind:
    """Where native memory lies and whose it is: ``("cuda:0", "torch")``."""

    device: str
    library: str

    def __repr__(self) -> str:
        return f"<NativeKind {self}>"

    @property
    def is_host(self) -> bool:
        """Whether it is memory of the machine, not of a device."""
        return self.device in HOST_DEVICES

    @property
    def text(self) -> str:
        """A description of such memory: ``of torch memory on cuda:0``."""
        where = _WHERE.get(self.device, f"on {self.device}")
        return f"of {self.library} memory {where}"

    def __str__(self) -> str:
        return f"{self.library}, {_NAMES.get(self.device, self.device)}"


@displayed
@dataclass(frozen=True, slots=True)
class AdapterNote:
    """How the adapter of one library fared in a capture.

    ``state``: ``done``, ``started`` if it did not come back, or ``not asked`` if a part of it may only
    be asked where no other thread runs; of the process that asks ``all adapters`` how it ended.
    ``objects``: how many objects it was given, or that part of it was; ``failed`` and ``skipped``: of
    how many of them blocks may be missing. ``error`` is that of the first failure, ``""`` without one.
    """

    library: str
    state: str
    objects: int = 0
    blocks: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    error: str = ""

    def __repr__(self) -> str:
        return f"<AdapterNote {self}>"

    @property
    def is_complete(self) -> bool:
        """Whether the blocks of all objects are known."""
        return self.state == "done" and not self.failed and not self.skipped

    def __str__(self) -> str:
        if self.state != "done":
            what = f"the blocks of {format_count(self.objects)} objects are not complete: "
            end = _ENDS.get(self.state, "the adapter did not return in time")
            return f"{self.library}: {what if self.objects else ''}{end}"
        parts = [f"{format_count(self.objects)} objects"]
        parts += [f"{format_count(self.failed)} failed"] if self.failed else []
        parts += [f"{format_count(self.skipped)} skipped"] if self.skipped else []
        error = f" ({self.error})" if self.error else ""
        return f"{self.library}: {', '.join(parts)}{error}"


class NativeBlocks:
    """The native blocks of one heap. ``nodes`` are their nodes, ascending.

    ``sections`` are those of the heap, ``string`` returns a stored string by its number.
    """

    def __init__(self, sections: Mapping[str, Any], string: Callable[[int], str]) -> None:
        self.nodes = memoryview(sections["native_node"])
        self._sections = sections
        self._string = string

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<NativeBlocks: {len(self):,} blocks>"

    def __contains__(self, node: int) -> bool:
        return self._row(node) is not None

    def _row(self, node: int) -> int | None:
        row = bisect_left(self.nodes, node)
        return row if row < len(self.nodes) and self.nodes[row] == node else None

    def kind_of(self, node: int) -> NativeKind | None:
        """Return the device and the library of a node; None for an object."""
        row = self._row(node)
        return None if row is None else self.kinds[row]

    @cached_property
    def kinds(self) -> list[NativeKind]:
        """The device and the library of each block, in the order of `nodes`."""
        columns = self._sections["native_device"], self._sections["native_library"]
        found: dict[tuple[int, int], NativeKind] = {}
        kinds = []
        for pair in zip(*columns, strict=True):
            if pair not in found:
                found[pair] = NativeKind(self._string(pair[0]), self._string(pair[1]))
            kinds.append(found[pair])
        return kinds

    def retained(
        self,
        dominator: memoryview,
        sizes: memoryview,
        flags: array[int],
        chosen: Callable[[NativeKind], bool],
    ) -> array[int]:
        """Return for each node the bytes of the chosen kinds of blocks that it retains.

        ``dominator``, ``sizes`` and ``flags`` are columns of the graph; blocks that only memlens
        holds count for nobody. Takes linear time.
        """
        part = array("Q", bytes(8 * len(dominator)))
        for node, kind in zip(self.nodes, self.kinds, strict=True):
            if chosen(kind) and not flags[node] & int(NodeFlag.OWN):
                part[node] = sizes[node]
        return checked_core.subtree_sums(dominator, part)

    def sizes(self, node_size: memoryview) -> Iterator[tuple[NativeKind, int]]:
        """Yield the kind and the size in bytes of each block."""
        for node, kind in zip(self.nodes, self.kinds, strict=True):
            yield kind, node_size[node]

    @cached_property
    def resident(self) -> dict[int, int]:
        """The resident bytes of blocks that are mappings, by node; only those of which it is known.

        A forked capture reads them from the page table of the program, after the fork: of a mapping
        that the program has closed meanwhile, or replaced at its address, they may be wrong.
        """
        nodes = self._sections.get("resident_node")
        return (
            {} if nodes is None else dict(zip(nodes, self._sections["resident_bytes"], strict=True))
        )

    def resident_sizes(self, node_size: memoryview) -> Iterator[tuple[NativeKind, int]]:
        """Yield like `sizes`, but of mappings the resident bytes where they are known."""
        for node, kind in zip(self.nodes, self.kinds, strict=True):
            yield kind, self.resident.get(node, node_size[node])

    @cached_property
    def has_devices(self) -> bool:
        """Whether some blocks are memory of a device."""
        return any(not kind.is_host for kind in set(self.kinds))


def parse_notes(text: bytes) -> list[AdapterNote]:
    """Return what the adapters of libraries noted, one note for each library, by name.

    ``text`` has a JSON object in each line; of several about one part of a library the last counts, and
    the parts are joined. Raises ``SnapshotFileError`` for other text.
    """
    notes: dict[tuple[str, str], AdapterNote] = {}
    for line in text.split(b"\n"):
        if line:
            part, note = _parse_note(line)
            notes[note.library, part] = note  # what began is followed by how it ended
    joined: dict[str, AdapterNote] = {}
    for (library, _), note in sorted(notes.items()):  # by library; what is told first has no part
        joined[library] = _joined(joined[library], note) if library in joined else note
    return [*joined.values()]


def _joined(first: AdapterNote, later: AdapterNote) -> AdapterNote:
    """Return the note of a library that told blocks in two parts, of the same objects or fewer."""
    if first.state == "done" != later.state:
        state, objects = later.state, later.objects  # that many are not complete
    else:
        state, objects = first.state, max(first.objects, later.objects)
    return AdapterNote(
        first.library,
        state,
        objects,
        first.blocks + later.blocks,
        min(first.failed + later.failed, objects),
        min(first.skipped + later.skipped, objects),
        first.seconds + later.seconds,
        first.error or later.error,
    )


def _parse_note(line: bytes) -> tuple[str, AdapterNote]:
    """Return the part of a library that a note is about, and the note."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SnapshotFileError(f"section 'native_notes' cannot be read: {error}") from error
    if type(value) is not dict:
        raise SnapshotFileError("section 'native_notes' has a line that is not a JSON object")
    texts: dict[str, Any] = {
        name: value.get(name) or "" for name in ("library", "state", "error", "part")
    }
    counts: dict[str, Any] = {name: value.get(name, 0) for name in _COUNTS}
    seconds = value.get("seconds", 0.0)
    if (
        any(type(one) is not str for one in texts.values())
        or not texts["library"]
        or not texts["state"]
        or any(type(one) is not int or not 0 <= one < _MAX_COUNT for one in counts.values())
        or type(seconds) not in (int, float)
        or not 0 <= seconds < _MAX_COUNT
    ):
        raise SnapshotFileError(
            f"section 'native_notes' has a note that is not valid: {line!r:.80}"
        )
    return texts.pop("part"), AdapterNote(**texts, **counts, seconds=float(seconds))
