r"""Read and write the file of a trace store: checksummed JSON, never pickle.

The first line is ASCII: ``memlens-traces``, the version of the format, the length of the JSON text
in bytes, the length of the rest of the file in bytes, and the SHA-256 of that rest in hexadecimal.
The rest is the JSON text, compressed by zlib::

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
from collections.abc import Sequence
from typing import Any, BinaryIO

from memlens._atomic import write_whole
from memlens._frame import CallPath, Frame
from memlens.allocations.tracing.traces import TracedMemory
from memlens.errors import SnapshotFileError

__all__ = ("FORMAT_VERSION", "MAGIC", "load_traces", "save_traces")

MAGIC = b"memlens-traces"
FORMAT_VERSION = 1
MAX_TEXT_BYTES = 1 << 30  # limits how far a small compressed file can expand
_MAX_HEADER_BYTES = 256
_FACTS: dict[str, tuple[type, ...]] = {
    "label": (str,),
    "taken_at": (float, int),
    "pid": (int,),
    "python": (str,),
    "frame_limit": (int,),
    "traced_bytes": (int,),
    "tracing_bytes": (int,),
}


def save_traces(path: str | os.PathLike[str], captures: Sequence[TracedMemory]) -> int:
    """Write captures to ``path`` and return the number of bytes written.

    The file is replaced as a whole. Raises ``OutputError`` if it cannot be written.
    """
    text = json.dumps(_document(captures), separators=(",", ":"), allow_nan=False).encode()
    payload = zlib.compress(text, 6)
    header = b"%s %d %d %d %s\n" % (
        MAGIC,
        FORMAT_VERSION,
        len(text),
        len(payload),
        _digest(payload),
    )
    return write_whole(path, header + payload)


def load_traces(path: str | os.PathLike[str]) -> tuple[TracedMemory, ...]:
    """Read the captures that `save_traces` wrote.

    Raises ``SnapshotFileError`` for a file that cannot be read, is of another kind, truncated,
    damaged or of a newer format.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            text = _read_text(path, file)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}") from error
    try:
        return _captures(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise SnapshotFileError(
            f"{path}: its content is not what memlens writes ({type(error).__name__}: {error})"
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


def _captures(document: dict[str, Any]) -> tuple[TracedMemory, ...]:
    files = [_typed(name, str) for name in _rows(document["files"])]
    frames = [_frame(files, row) for row in _rows(document["frames"])]
    paths = [
        tuple(frames[_whole(i)] for i in _rows(row, minimum=1)) for row in _rows(document["paths"])
    ]
    return tuple(_capture(paths, described) for described in _rows(document["captures"]))


def _capture(paths: list[CallPath], described: dict[str, Any]) -> TracedMemory:
    facts = {name: _typed(described[name], *types) for name, types in _FACTS.items()}
    for name in ("frame_limit", "traced_bytes", "tracing_bytes"):
        _whole(facts[name])
    traces = [_trace(row) for row in _rows(described["traces"])]
    return TracedMemory(
        **facts,
        paths=tuple(paths[index] for index, _, _ in traces),
        sizes_bytes=tuple(size for _, size, _ in traces),
        counts=tuple(count for _, _, count in traces),
    )


def _frame(files: list[str], row: list[Any]) -> Frame:
    function, file, line = _rows(row)
    return Frame(_typed(function, str, type(None)), files[_whole(file)], _whole(line))


def _trace(row: list[Any]) -> tuple[int, int, int]:
    index, size, count = _rows(row)
    return _whole(index), _whole(size), _whole(count)


def _rows(value: Any, minimum: int = 0) -> list[Any]:
    rows: list[Any] = _typed(value, list)
    if len(rows) < minimum:
        raise ValueError(f"expected a list of {minimum} or more items")
    return rows


def _whole(value: Any) -> int:
    number: int = _typed(value, int)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


def _typed(value: Any, *types: type) -> Any:
    if type(value) not in types:  # not isinstance: true and false are not numbers
        raise TypeError(f"expected {types[0].__name__}, got {type(value).__name__}")
    return value


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
    if max(text_bytes, payload_bytes) > MAX_TEXT_BYTES:
        raise SnapshotFileError(
            f"{path}: {text_bytes} bytes of text, the maximum is {MAX_TEXT_BYTES}"
        )
    file.seek(start)
    payload = file.read(payload_bytes)
    if _digest(payload) != digest:
        raise SnapshotFileError(
            f"{path}: damaged (its checksum does not match); copy or write the file again"
        )
    return _decompressed(path, payload, text_bytes)


def _decompressed(path: str, payload: bytes, text_bytes: int) -> bytes:
    try:
        text = zlib.decompressobj().decompress(payload, text_bytes + 1)
    except zlib.error as error:
        raise SnapshotFileError(f"{path}: cannot be decompressed: {error}") from error
    if len(text) != text_bytes:
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
