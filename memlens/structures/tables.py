"""Transform a CSV file of any length into another, in batches."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from memlens.structures._arguments import require_callable
from memlens.structures._files import PathLike, open_bytes, replaced
from memlens.structures.chunks import ChunkProcessor

if TYPE_CHECKING:
    import csv  # its import takes 2 ms

__all__ = ("CsvResult", "process_csv")

Row = dict[str, str]


class CsvResult(NamedTuple):
    """The numbers of rows read and written, without headers."""

    read_count: int
    written_count: int


class _Progress:
    def __init__(self, callback: Callable[[int], object] | None) -> None:
        self.read_count = 0
        self._callback = callback

    def batch_done(self) -> None:
        if self._callback is not None:
            self._callback(self.read_count)


def process_csv(
    source: PathLike,
    target: PathLike,
    transform: Callable[[list[Row]], Iterable[Mapping[str, Any]]],
    batch_size: int = 1000,
    *,
    progress: Callable[[int], object] | None = None,
    encoding: str = "utf-8",
) -> CsvResult:
    """Write ``transform(rows)`` for each batch of rows of ``source`` to ``target``.

    **Use it** for tables larger than memory: one batch is in memory at a time. Rows are dicts with
    the fields of the header; ``transform`` returns any number of dicts. The keys of the first
    result become the header of the target (without results, the header of the source). ``.gz`` and
    ``.zst`` files are compressed. ``target`` is replaced after everything was written, so it is
    always either the old or the new file. It may be the same file as ``source``.
    ``progress(rows_read)`` is called after each batch.

    Raises ValueError with the line number for a row with more or fewer fields than the header and
    for malformed CSV, and ValueError for a result with other keys than the first one. Errors of
    ``transform`` are not caught.
    """
    import csv

    require_callable("transform", transform)
    state = _Progress(progress)

    def transformed(rows: list[Row]) -> Iterable[Mapping[str, Any]]:
        results = transform(rows)
        state.batch_done()
        return results

    chunks = ChunkProcessor[Row, Mapping[str, Any]](transformed, batch_size)
    with (
        open_bytes(source) as raw,
        io.TextIOWrapper(raw, encoding=encoding, newline="") as text,
        replaced(target) as raw_target,
    ):
        output = io.TextIOWrapper(raw_target, encoding=encoding, newline="")
        try:
            reader = csv.DictReader(text, strict=True)
            results = chunks.process(_rows(reader, os.fspath(source), state))
            written = _write(output, results, reader)
        finally:
            output.detach()  # flushes; the context of the file closes it
    return CsvResult(state.read_count, written)


def _rows(reader: csv.DictReader[str], name: str, state: _Progress) -> Iterator[Row]:
    import csv

    try:
        for row in reader:
            if None in row or None in row.values():
                field_count = len(reader.fieldnames or ())
                raise ValueError(
                    f"{name}, line {reader.line_num}: the header has {field_count} fields, this row"
                    " has more or fewer"
                )
            state.read_count += 1
            yield row
    except csv.Error as error:
        raise ValueError(f"{name}, line {reader.line_num}: {error}") from error


def _write(
    output: io.TextIOWrapper,
    results: Iterator[Mapping[str, Any]],
    reader: csv.DictReader[str],
) -> int:
    import csv

    first = next(results, None)
    names = list(reader.fieldnames or ()) if first is None else list(first)
    writer = csv.DictWriter(output, names, lineterminator="\n")
    if names:
        writer.writeheader()
    count = 0
    for row in () if first is None else chain((first,), results):
        if row.keys() != set(names):
            raise ValueError(
                f"result {count + 1} has the keys {list(row)!r:.200}, the first one {names!r:.200}"
            )
        writer.writerow(row)
        count += 1
    return count
