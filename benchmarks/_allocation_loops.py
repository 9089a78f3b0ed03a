"""Loops that do little but allocate: the worst case for an allocation profiler."""

from __future__ import annotations

import json

__all__ = ("LOOPS",)


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


DOCUMENT = json.dumps(
    [{"id": i, "name": f"name {i}", "tags": ["a", "b"], "v": i / 3} for i in range(500)]
)


def objects():
    for _ in range(8):
        _kept = [Point(i, i) for i in range(20_000)]


def lists():
    for _ in range(8):
        _kept = [[i] for i in range(20_000)]


def tuples():
    for _ in range(12):
        _kept = [(i, i, i) for i in range(20_000)]


def bytearrays():
    for _ in range(60_000):
        bytearray(2048)


def parsing():
    for _ in range(24):
        json.loads(DOCUMENT)


def growing_dicts():
    _kept = [{i: i} for i in range(80_000)]


def deep_stack(depth=60):
    if depth:
        return deep_stack(depth - 1)
    return [str(i) + "x" for i in range(120_000)]


def integers():
    def double(value):
        return value + value

    total = 0
    for i in range(150_000):
        total = double(i + 1000) + i * 3
    return total


LOOPS = (objects, lists, tuples, bytearrays, parsing, growing_dicts, deep_stack, integers)
