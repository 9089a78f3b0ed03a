"""The largest call stacks in profiles in the format of pprof, as ddtrace and Pyroscope write them."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.formats.pprof_reader import message, numbers

__all__ = ("Stack", "profiles_in", "sample_types", "stacks")

_GZIP = b"\x1f\x8b\x08"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Stack:
    """A call stack, the innermost frame first, with the value of one sample type."""

    value: int
    frames: tuple[str, ...]


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
    for series in message(unpacked(request))[1]:
        for sample in message(series)[2]:
            yield from message(sample)[1]


def sample_types(data: bytes) -> list[str]:
    """Return the names of the sample types of a profile."""
    profile = message(unpacked(data))
    return [profile[6][message(one)[1][0]].decode() for one in profile[1]]


def stacks(data: bytes, sample_type: str) -> list[Stack]:
    """Return the call stacks with a value of this sample type, the largest first."""
    profile = message(unpacked(data))
    strings = [text.decode(errors="replace") for text in profile[6]]
    column = sample_types(data).index(sample_type)
    functions = {}
    for one in map(message, profile[5]):
        functions[_number(one[1])] = (strings[_number(one[2])], strings[_number(one[4])])
    locations = {}
    for one in map(message, profile[4]):
        lines = map(message, one[4])
        locations[_number(one[1])] = [
            "{} {}:{}".format(*functions.get(_number(line[1]), ("?", "?")), _number(line[2]))
            for line in lines
        ]
    totals: dict[tuple[str, ...], int] = defaultdict(int)
    for one in map(message, profile[2]):
        value = _repeated(one[2])[column]
        if value:
            frames = [frame for place in _repeated(one[1]) for frame in locations.get(place, [])]
            totals[tuple(frames)] += value
    found = [Stack(value, frames) for frames, value in totals.items()]
    return sorted(found, key=lambda stack: -stack.value)


def _number(values: list[int]) -> int:
    """Return a number; 0, which is not written, if it is not there."""
    return values[0] if values else 0


def _repeated(values: list[int | bytes]) -> list[int]:
    """Return repeated numbers, packed or not."""
    found: list[int] = []
    for value in values:
        found += numbers(value) if isinstance(value, bytes) else [value]
    return found
