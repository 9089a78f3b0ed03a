"""Read JSON Lines files of any length in constant memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any, BinaryIO, Literal, NamedTuple

from memlens.structures._arguments import require_callable, require_count
from memlens.structures._files import PathLike, name_of, open_bytes

__all__ = (
    "JsonLines",
    "LineError",
    "LinesResult",
    "process_json_lines",
    "stream_json_lines",
)

OnError = Literal["raise", "skip"] | Callable[[int, Exception], object]
_PROGRESS_LINES = 1000
_ASYNC_BATCH_LINES = 256
_MAX_ERRORS_KEPT = 100


class LineError(NamedTuple):
    """A line that could not be read or processed. Its content is not kept."""

    line_number: int  # from 1
    type_name: str
    message: str


class LinesResult(NamedTuple):
    """The counts, errors and results of `process_json_lines`."""

    line_count: int  # lines read, including blank lines
    processed_count: int
    error_count: int
    errors: tuple[LineError, ...]  # the first 100
    results: tuple[Any, ...]  # results that are not None, if ``keep_results`` is true

    def __repr__(self) -> str:
        return (
            f"<LinesResult: {self.line_count:,} lines, {self.processed_count:,} processed,"
            f" {self.error_count:,} errors>"
        )


class JsonLines:
    """An iterator over the objects of a JSON Lines file; also for ``async for`` and ``with``.

    ``line_count`` and ``error_count`` are current counts, ``errors`` has the first 100 errors.
    """

    def __init__(
        self,
        source: PathLike | IO[str] | IO[bytes],
        on_error: OnError = "raise",
        *,
        max_line_bytes: int = 16 * 2**20,
        progress: Callable[[int], object] | None = None,
        **json_options: Any,  # those of json.loads
    ) -> None:
        if on_error not in ("raise", "skip") and not callable(on_error):
            raise ValueError(
                f'on_error must be "raise", "skip" or a function, not {on_error!r:.80}'
            )
        if progress is not None:
            require_callable("progress", progress)
        self._limit = require_count("max_line_bytes", max_line_bytes)
        self._on_error = on_error
        self._progress = progress
        self._json_options = json_options
        self._name = name_of(source)
        self._owned: BinaryIO | None = None
        self._file: Any = source
        if isinstance(source, (str, os.PathLike)):
            self._file = self._owned = open_bytes(source)
        elif not hasattr(source, "readline"):
            raise TypeError(
                f"source must be a path or an open file, not {type(source).__qualname__}"
            )
        self.line_count = self.error_count = 0
        self.errors: list[LineError] = []
        self._objects = self._read()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __repr__(self) -> str:
        return f"<JsonLines of {self._name!r:.100}: {self.line_count:,} lines read>"

    def __next__(self) -> Any:  # any JSON value
        return next(self._objects)

    async def __aiter__(self) -> AsyncIterator[Any]:
        import asyncio
        from itertools import islice

        while batch := await asyncio.to_thread(list, islice(self._objects, _ASYNC_BATCH_LINES)):
            for value in batch:
                yield value

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file if this object opened it."""
        if self._owned is not None:
            self._owned.close()

    def failed(self, error: Exception, line_number: int | None = None) -> None:
        """Count an error of the current line and handle it according to ``on_error``."""
        number = self.line_count if line_number is None else line_number
        self.error_count += 1
        if len(self.errors) < _MAX_ERRORS_KEPT:
            self.errors.append(LineError(number, type(error).__name__, f"{error!s:.300}"))
        if self._on_error == "raise":
            raise error
        if callable(self._on_error):
            self._on_error(number, error)

    def _read(self) -> Iterator[Any]:
        import json

        try:
            while line := self._file.readline(self._limit + 1):
                self.line_count += 1
                if self._progress is not None and self.line_count % _PROGRESS_LINES == 0:
                    self._progress(self.line_count)
                try:
                    if len(line) > self._limit:
                        self._skip_rest(line)
                        raise ValueError(f"longer than max_line_bytes ({self._limit:,})")
                    text = line.decode("utf-8-sig") if isinstance(line, bytes) else line
                    if not text.strip():
                        continue
                    value = json.loads(text, **self._json_options)
                except (
                    ValueError,
                    RecursionError,
                ) as error:  # bad JSON, bad UTF-8, nested too deep
                    self.failed(ValueError(f"{self._name}, line {self.line_count}: {error}"))
                    continue
                yield value
            if self._progress is not None:
                self._progress(self.line_count)
        finally:
            self.close()

    def _skip_rest(self, line: str | bytes) -> None:
        newline: Any = "\n" if isinstance(line, str) else b"\n"
        while line and not line.endswith(newline):
            line = self._file.readline(self._limit)


def stream_json_lines(
    source: PathLike | IO[str] | IO[bytes],
    on_error: OnError = "raise",
    *,
    max_line_bytes: int = 16 * 2**20,
    progress: Callable[[int], object] | None = None,
    **json_options: Any,  # those of json.loads
) -> JsonLines:
    """Return an iterator over the objects of a JSON Lines file, with one line in memory.

    **Use it** instead of ``[json.loads(line) for line in file]``. ``source`` is an open text or
    binary file, which stays open, or a path: ``.gz`` files are decompressed by gzip, ``.zst`` files
    by Zstandard if a module for it is installed. Blank lines are skipped. A line that is not JSON
    or longer than ``max_line_bytes`` raises ValueError with its number (``on_error="raise"``), is
    skipped and counted (``"skip"``), or is passed to ``on_error(line_number, error)``.
    ``progress(line_count)`` is called every 1,000 lines and at the end. Further options are passed
    to ``json.loads``; `StringInterner.intern_json` can be its ``object_pairs_hook``. ``async for``
    reads in a worker thread, 256 lines at a time.
    """
    return JsonLines(
        source, on_error, max_line_bytes=max_line_bytes, progress=progress, **json_options
    )


def process_json_lines(
    source: PathLike | IO[str] | IO[bytes],
    function: Callable[[Any], object],
    on_error: OnError = "raise",
    *,
    keep_results: bool = False,
    max_line_bytes: int = 16 * 2**20,
    progress: Callable[[int], object] | None = None,
) -> LinesResult:
    """Call ``function`` with each object of a JSON Lines file; return counts and the first errors.

    ``on_error`` applies to bad lines and to an ``Exception`` of ``function``, which is raised
    unchanged. Results are dropped unless ``keep_results`` is true; then those that are not None are
    kept.
    """
    require_callable("function", function)
    results = []
    processed = 0
    with stream_json_lines(
        source, on_error, max_line_bytes=max_line_bytes, progress=progress
    ) as lines:
        for value in lines:
            try:
                result = function(value)
            except Exception as error:  # noqa: BLE001  # on_error decides; "raise" raises it again
                lines.failed(error)
                continue
            processed += 1
            if keep_results and result is not None:
                results.append(result)
    return LinesResult(
        lines.line_count, processed, lines.error_count, tuple(lines.errors), tuple(results)
    )
