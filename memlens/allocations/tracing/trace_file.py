r"""Read and write the file of a trace store: checksummed JSON, never pickle.

The first line is ASCII: ``memlens-traces``, the version of the format, the length of the JSON text
in bytes, the length of the rest of the file in bytes, and the SHA-256 of that rest in hexadecimal.
The rest is the JSON text, compressed by zlib (stored if it would compress more than 16 times)::

    {"files":     [name, ...],
     "frames":    [[function or null, index in files, line], ...],
     "paths":     [[index in frames, ...], ...],                    outermost call first
     "captures":  [{"label": ..., ...,
                    "traces": [[index in paths, bytes, blocks], ...]}, ...]}

A file is written under a temporary name in its folder, readable by its owner only, and renamed when
it is complete. It contains sizes, counts and names of source files and functions, but no values.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

from memlens._atomic import without_waiting, write_whole
from memlens._frame import CallPath, Frame
from memlens._options import check_path
from memlens.allocations.options import MAX_FRAMES
from memlens.allocations.stored_values import (
    MAX_SECONDS,
    items_at,
    stored_integer,
    stored_list,
    stored_number,
    stored_text,
)
from memlens.allocations.tracing.traces import TracedMemory
from memlens.errors import OutputError, SnapshotFileError

__all__ = ("FORMAT_VERSION", "MAGIC", "load_traces", "save_traces")

MAGIC = b"memlens-traces"
FORMAT_VERSION = 1
MAX_TEXT_BYTES = 1 << 30
# Reading takes memory in proportion to the text, so a small file must not contain a huge text. Text
# that compresses better than this (deep recursion) is stored without compression.
MAX_EXPANSION = 16
FREE_TEXT_BYTES = 1 << 20  # a text of this length may compress better
_MAX_HEADER_BYTES = 256
# The fields of a capture beside its columns, with the check of each.
_FACTS: dict[str, Callable[[object], Any]] = {
    "label": stored_text,
    "taken_at": partial(stored_number, maximum=MAX_SECONDS),
    "pid": stored_integer,
    "python": stored_text,
    "frame_limit": partial(stored_integer, minimum=1, maximum=MAX_FRAMES),
    "traced_bytes": stored_integer,
    "tracing_bytes": stored_integer,
}


def save_traces(path: str | os.PathLike[str], captures: Sequence[TracedMemory]) -> int:
    """Write captures to ``path`` and return the number of bytes written.

    The file is replaced as a whole. Raises ``OutputError`` if it cannot be written,
    ``OptionError`` for a bad path.
    """
    name = check_path("path", path)
    text = json.dumps(_document(captures), separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_TEXT_BYTES:
        raise OutputError(
            f"cannot write {name!r}: {len(text)} bytes of text, the maximum is {MAX_TEXT_BYTES};"
            " save fewer captures or use fewer frames"
        )
    payload = zlib.compress(text, 6)
    if len(text) > _longest_text(len(payload)):
        payload = zlib.compress(text, 0)
    header = b"%s %d %d %d %s\n" % (
        MAGIC,
        FORMAT_VERSION,
        len(text),
        len(payload),
        _digest(payload),
    )
    return write_whole(name, header + payload)


def load_traces(path: str | os.PathLike[str]) -> tuple[TracedMemory, ...]:
    """Read the captures that `save_traces` wrote.

    Raises ``SnapshotFileError`` for a file that cannot be read, is of another kind, truncated,
    damaged or of a newer format.
    """
    name = check_path("path", path)
    try:
        with open(name, "rb", opener=without_waiting) as file:
            text = _read_text(name, file)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {name!r}: {error.strerror or error}") from error
    try:
        return _captures(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise SnapshotFileError(
            f"{name}: its content is not what memlens writes ({error})"
        ) from error


def _document(captures: Sequence[TracedMemory]) -> dict[str, Any]:
    files: dict[str, int] = {}
    frames: dict[Frame, int] = {}
    paths: dict[CallPath, int] = {}
    described = []
    for memory in captures:
        facts = {name: getattr(memory, name) for name in _FACTS}
        columns = zip(memory.paths, memory.sizes_bytes, memory.counts, strict=True)
        facts["traces"] = [[_number(paths, path), size, count] for path, size, count in columns]
        described.append(facts)
    path_rows = [[_number(frames, frame) for frame in path] for path in paths]
    frame_rows = [[f.function, _number(files, f.file), f.line] for f in frames]
    return {"files": list(files), "frames": frame_rows, "paths": path_rows, "captures": described}


def _number(known: dict[Any, int], key: Any) -> int:
    return known.setdefault(key, len(known))


def _captures(document: Any) -> tuple[TracedMemory, ...]:
    """Check a document and return its captures, which share file names, frames and paths."""
    if type(document) is not dict or document.keys() != {"files", "frames", "paths", "captures"}:
        raise ValueError("expected an object with files, frames, paths and captures")
    files = [stored_text(name) for name in stored_list(document["files"])]
    frames = [_frame(files, row) for row in stored_list(document["frames"])]
    paths = [items_at(frames, row) for row in stored_list(document["paths"])]
    if not all(paths):
        raise ValueError("a call path has no frames")
    return tuple(_capture(paths, described) for described in stored_list(document["captures"]))


def _capture(paths: list[CallPath], described: Any) -> TracedMemory:
    if type(described) is not dict or described.keys() != {*_FACTS, "traces"}:
        raise ValueError(f"expected a capture with {', '.join(_FACTS)} and traces")
    facts = {name: check(described[name]) for name, check in _FACTS.items()}
    traces = [stored_list(row, 3) for row in stored_list(described["traces"])]
    return TracedMemory(
        **facts,
        paths=items_at(paths, [row[0] for row in traces]),
        sizes_bytes=tuple([stored_integer(row[1]) for row in traces]),
        counts=tuple([stored_integer(row[2]) for row in traces]),
    )


def _frame(files: list[str], row: object) -> Frame:
    function, file, line = stored_list(row, 3)
    (name,) = items_at(files, [file])
    return Frame(None if function is None else stored_text(function), name, stored_integer(line))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _read_text(path: str, file: BinaryIO) -> bytes:
    text_bytes, payload_bytes, digest, start = _read_header(path, file.read(_MAX_HEADER_BYTES))
    rest_bytes = os.fstat(file.fileno()).st_size - start
    if rest_bytes != payload_bytes:
        what = "truncated" if rest_bytes < payload_bytes else "followed by other data"
        raise SnapshotFileError(
            f"{path}: {what} ({rest_bytes} bytes after its first line, {payload_bytes} expected)"
        )
    if text_bytes > _longest_text(payload_bytes):
        raise SnapshotFileError(
            f"{path}: {text_bytes} bytes of text, the maximum is {_longest_text(payload_bytes)} for"
            f" a payload of {payload_bytes} bytes"
        )
    file.seek(start)
    payload = file.read(payload_bytes)
    if _digest(payload) != digest:
        raise SnapshotFileError(
            f"{path}: damaged (its checksum does not match); copy or write the file again"
        )
    return _decompressed(path, payload, text_bytes)


def _longest_text(payload_bytes: int) -> int:
    """Return the maximum length of the text in a payload of this size, in bytes."""
    return min(MAX_TEXT_BYTES, max(FREE_TEXT_BYTES, MAX_EXPANSION * payload_bytes))


def _decompressed(path: str, payload: bytes, text_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(payload, text_bytes + 1)
    except zlib.error as error:
        raise SnapshotFileError(f"{path}: cannot be decompressed: {error}") from error
    if len(text) != text_bytes or not stream.eof or stream.unused_data:
        raise SnapshotFileError(
            f"{path}: its text is not {text_bytes} bytes long as its header says"
        )
    return text


def _read_header(path: str, head: bytes) -> tuple[int, int, bytes, int]:
    if not head.startswith(MAGIC + b" "):
        if head and (MAGIC + b" ").startswith(head):
            raise SnapshotFileError(f"{path}: truncated after {len(head)} bytes")
        raise SnapshotFileError(
            f"{path}: not a file of memlens traces (it does not start with {MAGIC.decode()!r})"
        )
    line, newline, _ = head.partition(b"\n")
    fields = line.split(b" ")
    if newline and fields[1].isdigit() and int(fields[1]) > FORMAT_VERSION:
        raise SnapshotFileError(
            f"{path}: has format {int(fields[1])}, this memlens reads up to {FORMAT_VERSION};"
            " install a newer memlens"
        )
    if not newline or len(fields) != 5 or not all(field.isdigit() for field in fields[1:4]):
        raise SnapshotFileError(f"{path}: its first line is truncated or damaged")
    if int(fields[1]) != FORMAT_VERSION:
        raise SnapshotFileError(f"{path}: damaged (format {int(fields[1])} does not exist)")
    return int(fields[2]), int(fields[3]), fields[4], len(line) + 1


def _digest(payload: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(payload).hexdigest().encode()
