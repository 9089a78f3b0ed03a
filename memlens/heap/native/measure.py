"""Measure the native memory of objects, library by library, within a time limit for each.

What a library raises stays here: it is counted and noted. A library that raises often, or takes too
long, is asked for nothing more in that capture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memlens.heap.native.adapter import Adapter
from memlens.heap.native.blocks import check_block
from memlens.heap.native.chunks import NUMBERS_A_ROW, encode_chunk

__all__ = ("FORKED_LIMIT_SECONDS", "INLINE_LIMIT_SECONDS", "Measure", "make_measure")

FORKED_LIMIT_SECONDS = 3.0
INLINE_LIMIT_SECONDS = 1.0
_MAX_FAILURES = 10
_MAX_ROWS_A_CHUNK = 16_384
_MAX_BLOCKS_AN_OBJECT = 1_000_000
_MAX_ERROR_CHARACTERS = 200

Send = Callable[[bytes], object]
Measure = Callable[[Sequence[Any], Send], None]


def make_measure(
    adapters: Mapping[type, Adapter],
    limit_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Measure:
    """Return the function that a core calls with all objects of the types, and with ``send``.

    Each library may take ``limit_seconds``. ``send`` receives chunks, see `chunks`. Only
    ``MemoryError``, ``KeyboardInterrupt`` and what ``send`` raises reach the caller.
    """
    adapters = dict(adapters)

    def measure(objects: Sequence[Any], send: Send) -> None:
        groups: dict[str, list[int]] = {}
        for position, owner in enumerate(objects):
            groups.setdefault(adapters[type(owner)].library, []).append(position)
        for library, positions in groups.items():
            measurement = _Measurement(library, len(positions), send)
            measurement.run(objects, positions, adapters, clock, limit_seconds)

    return measure


class _Measurement:
    """The measurement of all objects of one library."""

    def __init__(self, library: str, object_count: int, send: Send) -> None:
        self._library = library
        self._object_count = object_count
        self._send = send
        self._numbers: list[int] = []
        self._name_numbers = {library: 0}
        self._block_count = 0
        self._failure_count = 0
        self._error = ""

    def run(
        self,
        objects: Sequence[Any],
        positions: Sequence[int],
        adapters: Mapping[type, Adapter],
        clock: Callable[[], float],
        limit_seconds: float,
    ) -> None:
        self._flush(self._note("started"))
        start = now = clock()
        measured_count = 0
        for position in positions:
            if now - start >= limit_seconds or self._failure_count > _MAX_FAILURES:
                break
            owner = objects[position]
            self._measure(owner, position, adapters[type(owner)])
            measured_count += 1
            now = clock()
        self._flush(self._final_note(measured_count, now - start))

    def _measure(self, owner: Any, position: int, adapter: Adapter) -> None:
        numbers = self._numbers
        row_start = len(numbers)
        name_numbers = self._name_numbers
        try:
            for block in adapter.blocks_of(owner):
                address, size, device = check_block(block)
                if size:
                    device_number = name_numbers.setdefault(device, len(name_numbers))
                    numbers += (position, address, size, device_number, 0)
                    if len(numbers) - row_start > _MAX_BLOCKS_AN_OBJECT * NUMBERS_A_ROW:
                        raise ValueError("an object has more than 1,000,000 blocks")
        except (MemoryError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of a library in Rust is no Exception
            del numbers[row_start:]
            self._failure_count += 1
            self._error = self._error or _error_text(error)
        self._block_count += (len(numbers) - row_start) // NUMBERS_A_ROW
        if len(numbers) >= _MAX_ROWS_A_CHUNK * NUMBERS_A_ROW:
            self._flush()

    def _flush(self, note: Mapping[str, Any] | None = None) -> None:
        """Send the rows; a large object may have more than fit into one chunk."""
        numbers, names = self._numbers, tuple(self._name_numbers)
        most = _MAX_ROWS_A_CHUNK * NUMBERS_A_ROW
        for start in range(0, len(numbers), most):
            self._send(encode_chunk(numbers[start : start + most], names))
        if note is not None:
            self._send(encode_chunk((), (), note))
        self._numbers = []

    def _note(self, state: str) -> dict[str, Any]:
        return {"library": self._library, "state": state, "objects": self._object_count}

    def _final_note(self, measured_count: int, seconds: float) -> dict[str, Any]:
        note = {
            **self._note("done"),
            "blocks": self._block_count,
            "failed": self._failure_count,
            "skipped": self._object_count - measured_count,
            "seconds": round(seconds, 6),
        }
        return {**note, "error": self._error} if self._error else note


def _error_text(error: BaseException) -> str:
    """Return the type and the message of an error as one short line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an error without a text is still counted
        text = "(no message)"
    return f"{type(error).__name__}: {text}"[:_MAX_ERROR_CHARACTERS]
