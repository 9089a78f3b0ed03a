"""CSV from one file to another, batch by batch; the target appears complete or not at all."""

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
    import csv  # 2 ms, and few programs need it

__all__ = ("CsvResult", "process_csv")

Row = dict[str, str]


class CsvResult(NamedTuple):
    """How many rows were read and written, headers not counted."""

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

    **Use it** for tables larger than memory: one batch is held at a time. Rows are dicts by the
    header line; ``transform`` returns dicts, as many as it likes. The first one's keys make the
    header of the target (that of the source if there are no rows at all). ``.gz`` and ``.zst`` are
    read and written compressed. ``target`` is replaced when all is written, so it is the old or the
    new file, whatever happens; it may be ``source`` itself. ``progress(rows_read)`` is called after
    each batch.

    Raises ValueError, with the line number, for a row with more or fewer fields than the
    header, for broken CSV, and for a result with other keys than the first. What ``transform``
    raises goes through.
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
            output.detach()  # writes what it holds; the file is closed by its own context
    return CsvResult(state.read_count, written)


def _rows(reader: csv.DictReader[str], name: str, state: _Progress) -> Iterator[Row]:
    import csv

    try:
        for row in reader:
            if None in row or None in row.values():
                wanted = len(reader.fieldnames or ())
                raise ValueError(
                    f"{name}, line {reader.line_num}: the header has {wanted} fields, this row "
                    "has more or fewer"
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
