"""A small reader of gzipped ``profile.proto``, written from the format's description alone."""

from __future__ import annotations

import gzip
from collections import defaultdict
from typing import Any


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def message(data: bytes) -> dict[int, list[Any]]:
    """Return {field: values}; of length-delimited fields the bytes."""
    fields, at = defaultdict(list), 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        elif kind == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            assert len(value) == length, "truncated"
        else:
            raise AssertionError(f"wire type {kind} is not used by profile.proto")
        fields[number].append(value)
    return fields


def numbers(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def read(data: bytes) -> dict[str, Any]:
    """Return value types, period, and samples as (call path innermost first, values, labels)."""
    top = message(gzip.decompress(data))
    strings = [text.decode() for text in top[6]]
    assert strings[0] == ""

    def text(fields: dict[int, list[Any]], number: int) -> str:
        return strings[fields[number][0]] if fields[number] else ""

    functions = {}
    for raw in top[5]:
        fields = message(raw)
        functions[fields[1][0]] = (text(fields, 2), text(fields, 4))
    locations = {}
    for raw in top[4]:
        fields = message(raw)
        line = message(fields[4][0])
        locations[fields[1][0]] = (*functions[line[1][0]], line[2][0] if line[2] else 0)
    samples = []
    for raw in top[2]:
        fields = message(raw)
        labels = {text(message(label), 1): text(message(label), 2) for label in fields[3]}
        path = tuple(locations[number] for number in numbers(fields[1][0]))
        samples.append((path, numbers(fields[2][0]), labels))
    types = [(text(message(raw), 1), text(message(raw), 2)) for raw in top[1]]
    return {"types": types, "samples": samples, "period": top[12], "default": strings[top[14][0]]}
