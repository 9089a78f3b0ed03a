"""Read profiles in the format of pprof: the largest call stacks of one sample type.

Only what is needed here: samples, locations, functions, strings. The fields are those of
``profile.proto``.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ("Stack", "fields", "profiles_in", "sample_types", "stacks")

_GZIP = b"\x1f\x8b\x08"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Stack:
    """A call stack, the innermost frame first, with the value of one sample type."""

    value: int
    frames: tuple[str, ...]


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a protobuf message; bytes for what has a length."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
        elif kind == 2:
            length, position = _varint(message, position)
            yield key >> 3, message[position : position + length]
            position += length
        else:
            size = {1: 8, 5: 4}[kind]
            yield key >> 3, message[position : position + size]
            position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = message[position]
        result |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return result, position


def unpacked(data: bytes) -> bytes:
    """Return a file of pprof without its compression."""
    if data.startswith(_GZIP):
        return gzip.decompress(data)
    if data.startswith(_ZSTANDARD):
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def profiles_in(request: bytes) -> Iterator[bytes]:
    """Yield the profiles in a PushRequest of Pyroscope: series, their samples, ``raw_profile``."""
    for number, series in fields(unpacked(request)):
        if number == 1:
            for part, sample in fields(series):
                if part == 2:
                    yield from (raw for field, raw in fields(sample) if field == 1)


def _numbers(values: list[Any]) -> list[int]:
    """Return repeated integers, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            found.append(number)
    return found


def _grouped(message: bytes) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for number, value in fields(message):
        found[number].append(value)
    return found


def _one(message: dict[int, list[Any]], number: int) -> int:
    return int(message[number][0]) if message.get(number) else 0


def sample_types(data: bytes) -> list[str]:
    """Return the names of the sample types of a profile."""
    profile = _grouped(unpacked(data))
    strings = [text.decode(errors="replace") for text in profile[6]]
    return [strings[_one(_grouped(one), 1)] for one in profile[1]]


def stacks(data: bytes, sample_type: str) -> list[Stack]:
    """Return the call stacks with a value of this sample type, the largest first."""
    profile = _grouped(unpacked(data))
    strings = [text.decode(errors="replace") for text in profile[6]]
    column = sample_types(data).index(sample_type)
    functions = {}
    for one in map(_grouped, profile[5]):
        functions[_one(one, 1)] = (strings[_one(one, 2)], strings[_one(one, 4)])
    locations = {}
    for one in map(_grouped, profile[4]):
        lines = [_grouped(line) for line in one[4]]
        locations[_one(one, 1)] = [
            "{} {}:{}".format(*functions.get(_one(line, 1), ("?", "?")), _one(line, 2))
            for line in lines
        ]
    totals: dict[tuple[str, ...], int] = defaultdict(int)
    for one in map(_grouped, profile[2]):
        value = _numbers(one[2])[column]
        if value:
            frames = [frame for ident in _numbers(one[1]) for frame in locations.get(ident, [])]
            totals[tuple(frames)] += value
    found = [Stack(value, frames) for frames, value in totals.items()]
    return sorted(found, key=lambda stack: -stack.value)
