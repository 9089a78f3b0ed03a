"""Where the objects of a snapshot were allocated: the join of the sampler's table with the heap.

A sample is a memory block. An object starts 0, 16, 32 or 48 bytes into its block, after the
collector's header and the words that precede an instance. About one object in 512 KiB is sampled;
its weight is the number of objects that it represents. Buffers (the items of a list, the table of a
dict, the bytes of a bytearray) are separate blocks; the capture finds which object owns them.

`site_sections` copies the sampler's table before a heap is captured; a forked child writes the copy
that its parent has read. After the capture, `lost_samples` returns the blocks that were freed in the
meantime. `AllocationSites` finds the nodes on demand.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress, pairwise
from typing import Any

from memlens._core.layout import SITE_SECTIONS
from memlens._core.sampler_api import COLUMNS
from memlens._display import displayed
from memlens._frame import NATIVE_FRAME, CallPath, Frame, path_order
from memlens._text import format_bytes, format_count
from memlens.heap.graph.stored_text import stored_text

__all__ = ("AllocationSites", "SiteShare", "lost_samples", "site_sections")

_OBJECT_OFFSETS = (0, 16, 32, 48)
_SMALLEST_OBJECT = 16  # bytes: a reference count and a type


@displayed
@dataclass(frozen=True, slots=True)
class SiteShare:
    """An estimate of how many of some objects were allocated at one call path.

    ``call_path``: the calls, the allocating line last. ``count`` and ``shallow_bytes`` are the
    numbers of objects and bytes that the ``sample_count`` samples represent; the bytes include the
    buffers of objects. ``count`` is 0 where only buffers were sampled.
    """

    call_path: CallPath
    count: float
    shallow_bytes: float
    sample_count: int

    def __repr__(self) -> str:
        return f"<SiteShare {self}>"

    def __add__(self, other: SiteShare) -> SiteShare:
        """Return both shares together, at the call path of the first."""
        return SiteShare(
            self.call_path,
            self.count + other.count,
            self.shallow_bytes + other.shallow_bytes,
            self.sample_count + other.sample_count,
        )

    def __str__(self) -> str:
        objects, samples = round(self.count), self.sample_count
        what = f"{format_count(objects)} object{'s' if objects != 1 else ''},"
        return (
            f"{self.path_text()}: about {what if self.count else 'buffers of'}"
            f" {format_bytes(self.shallow_bytes)}, from {format_count(samples)}"
            f" sample{'s' if samples != 1 else ''}"
        )

    def path_text(self) -> str:
        """Return the calls in one line, the allocating call first."""
        return " <- ".join(frame.short() for frame in reversed(self.call_path))

    def to_dict(self) -> dict[str, Any]:
        """Return the share as JSON-ready values."""
        return {
            "call_path": [frame._asdict() for frame in self.call_path],
            "count": self.count,
            "shallow_bytes": self.shallow_bytes,
            "sample_count": self.sample_count,
        }


class AllocationSites:
    """The allocation sites of one captured heap, by node.

    ``sections`` has the columns of `SITE_SECTIONS` and, from the C core, the owners of sampled
    buffers; ``node_address`` has the address of each node and ``lost`` the addresses of blocks to
    leave out (see `lost_samples`).
    """

    def __init__(
        self, sections: Mapping[str, Any], node_address: Sequence[int], lost: Iterable[int] = ()
    ) -> None:
        self._columns = {name: sections[name] for name in SITE_SECTIONS}
        self._buffers = [sections.get(name, ()) for name in ("block_node", "block_address")]
        self._node_address = node_address
        self._lost = frozenset(lost)

    def __repr__(self) -> str:
        return f"<AllocationSites: {len(self._columns['site_address']):,} samples>"

    @cached_property
    def samples(self) -> dict[int, int]:
        """The row of the sample of each sampled node; nodes ascending."""
        columns = self._columns
        no_objects = {*self._lost, *self._buffers[1]}
        rows: dict[int, int] = {}  # by the addresses where an object in a sampled block may start
        blocks = zip(columns["site_address"], columns["site_size"], strict=True)
        for row, (address, size_bytes) in enumerate(blocks):
            if address in no_objects:
                continue
            for offset in _OBJECT_OFFSETS:
                if offset + _SMALLEST_OBJECT <= size_bytes:
                    rows[address + offset] = row
        addresses = self._node_address
        sampled = compress(range(len(addresses)), map(rows.__contains__, addresses))
        return {node: rows[addresses[node]] for node in sampled}

    @cached_property
    def buffer_samples(self) -> dict[int, list[int]]:
        """The rows of the sampled buffers of each node."""
        addresses = self._columns["site_address"]
        rows: dict[int, list[int]] = {}
        for node, address in zip(*self._buffers, strict=True):
            row = bisect_left(addresses, address)
            if row < len(addresses) and addresses[row] == address and address not in self._lost:
                rows.setdefault(node, []).append(row)
        return rows

    @cached_property
    def call_paths(self) -> list[CallPath]:
        """The call path of each stack: the outermost call first."""
        columns = self._columns
        data = bytes(columns["site_string_bytes"])
        texts = [
            stored_text(data, start, end) for start, end in pairwise(columns["site_string_offset"])
        ]
        places = zip(
            columns["site_function"], columns["site_file"], columns["site_line"], strict=True
        )
        frames = [Frame(texts[function], texts[file], line) for function, file, line in places]
        stacks = columns["site_stack_frame"]
        return [
            tuple(frames[number] for number in reversed(stacks[start:end].tolist()))
            or (NATIVE_FRAME,)
            for start, end in pairwise(columns["site_stack_offset"])
        ]

    def path_of(self, node: int) -> CallPath | None:
        """Return the call path that allocated a node, None if it was not sampled.

        If only buffers of the node were sampled, it is the path that allocated the largest.
        """
        row = self.samples.get(node)
        if row is None:
            sizes = self._columns["site_size"]
            row = max(self.buffer_samples.get(node, ()), key=lambda row: sizes[row], default=None)
        return None if row is None else self.call_paths[self._columns["site_stack"][row]]

    def site_of(self, node: int) -> Frame | None:
        """Return the call that allocated a node, as `path_of`; None if it was not sampled."""
        path = self.path_of(node)
        return None if path is None else path[-1]

    def shares(self, nodes: Iterable[int], depth: int) -> list[SiteShare]:
        """Return where nodes were allocated, most bytes first; empty if none was sampled.

        ``depth``: the number of innermost calls by which allocations are grouped.
        """
        columns, samples, buffers = self._columns, self.samples, self.buffer_samples
        sums: dict[CallPath, tuple[float, float, int]] = {}

        def add(row: int, is_object: bool) -> None:
            key = self.call_paths[columns["site_stack"][row]][-depth:]
            count, size_bytes, sample_count = sums.get(key, (0.0, 0.0, 0))
            weight = columns["site_weight"][row]
            size_bytes += weight * columns["site_size"][row]
            sums[key] = (count + weight * is_object, size_bytes, sample_count + 1)

        for node in nodes:
            if node in samples:
                add(samples[node], True)
            for row in buffers.get(node, ()):
                add(row, False)
        shares = [SiteShare(path, *numbers) for path, numbers in sums.items()]
        return sorted(shares, key=lambda share: (-share.shallow_bytes, path_order(share.call_path)))


def site_sections(tables: Mapping[str, bytes]) -> dict[str, array[Any]]:
    """Return the `SITE_SECTIONS` of tables read by `memlens._core.sampler_api.read_samples`."""
    columns = _columns(tables)
    stacks = _Stacks(columns)
    rows = []
    for address, size_bytes, probability, bucket in zip(
        *(columns[f"sample_{name}"] for name in ("address", "size", "probability", "bucket")),
        strict=True,
    ):
        stack = stacks.number_of(columns["bucket_stack"][bucket])
        rows.append((address, size_bytes, 1 / probability, stack))
    rows.sort()
    names = ("site_address", "site_size", "site_weight", "site_stack")
    sections = {
        name: array(SITE_SECTIONS[name], [row[i] for row in rows]) for i, name in enumerate(names)
    }
    return {**sections, **stacks.sections()}


def lost_samples(before: Mapping[str, bytes], after: Mapping[str, bytes] | None) -> list[int]:
    """Return the addresses of sampled blocks that were freed during a capture.

    An object at such an address in the captured heap may be a different one. ``before`` and
    ``after`` were read before and after the capture. If ``after`` is None, because sampling has
    stopped, all blocks are returned.
    """
    old = _columns(before)
    lost = set(zip(old["sample_sequence"], old["sample_address"], strict=True))
    if after is not None:
        new = _columns(after)
        lost.difference_update(zip(new["sample_sequence"], new["sample_address"], strict=True))
    return sorted(address for _, address in lost)


def _columns(tables: Mapping[str, bytes]) -> dict[str, Any]:
    views: dict[str, Any] = {name: memoryview(data) for name, data in tables.items()}
    return {name: view.cast(COLUMNS[name]) for name, view in views.items()}


class _Stacks:
    """Renumbers the stacks, frames and strings in use, so that a snapshot stores only those."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns
        self._stacks: dict[int, int] = {}
        self._frames: dict[int, int] = {}
        self._strings: dict[int, int] = {}
        self._offsets = array("I", [0])
        self._members = array("I")

    def number_of(self, stack: int) -> int:
        """Return the new number of one of the sampler's stacks."""
        number = self._stacks.get(stack)
        if number is None:
            number = self._stacks[stack] = len(self._stacks)
            offsets, frames = self._columns["stack_offset"], self._columns["stack_location"]
            for frame in frames[offsets[stack] : offsets[stack + 1]].tolist():
                self._members.append(self._frames.setdefault(frame, len(self._frames)))
            self._offsets.append(len(self._members))
        return number

    def sections(self) -> dict[str, array[Any]]:
        """Return the sections of stacks, frames and strings."""
        functions, files, lines = (
            [self._columns[f"location_{name}"][frame] for frame in self._frames]
            for name in ("function", "file", "line")
        )
        functions, files = [self._string(n) for n in functions], [self._string(n) for n in files]
        offsets, data = self._columns["string_offset"], self._columns["string_bytes"]
        text, starts = bytearray(), [0]
        for number in self._strings:
            text += data[offsets[number] : offsets[number + 1]]
            starts.append(len(text))
        return {
            "site_stack_offset": self._offsets,
            "site_stack_frame": self._members,
            "site_function": array("I", functions),
            "site_file": array("I", files),
            "site_line": array("I", lines),
            "site_string_offset": array("Q", starts),
            "site_string_bytes": array("B", bytes(text)),
        }

    def _string(self, number: int) -> int:
        return self._strings.setdefault(number, len(self._strings))
