"""Choices that bytes make, and damage to JSON documents by them.

The same bytes always choose the same damage, so a few bytes are a test case: those in ``seeds`` run
in the suite, and ``scripts/fuzz_files.py`` looks for new ones.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

VALUES = (None, True, -1, 0, 1, 1.5, 2**31, 2**63, 10**30, 1e308, "", "x", "\x1b[2J", "\ud800", [], {},
          [[]], [-1], {"a": 1})  # fmt: skip
DEPTHS = (3, 200, 100_000)


class Choices:
    """The methods of ``random.Random`` that the damage needs, over bytes; 0 where none are left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def randrange(self, stop: int) -> int:
        """Return a number from 0 to below ``stop``."""
        size = (max(1, stop - 1).bit_length() + 7) // 8
        part = self._data[self._place : self._place + size]
        self._place += size
        return int.from_bytes(part, "little") % max(1, stop)

    def choice(self, values: Sequence[Any]) -> Any:
        """Return one of the values."""
        return values[self.randrange(len(values))]

    def random(self) -> float:
        """Return a number from 0 to below 1."""
        return self.randrange(1 << 16) / (1 << 16)

    def shuffle(self, values: list[Any]) -> None:
        """Put the values into another order."""
        for place in range(len(values) - 1, 0, -1):
            other = self.randrange(place + 1)
            values[place], values[other] = values[other], values[place]

    def rest(self) -> bytes:
        """Return the bytes that are left."""
        left = self._data[self._place :]
        self._place = len(self._data)
        return left


def damaged_json(document: Any, choices: Choices) -> Any:
    """Return a copy of a JSON document with up to eight values replaced, removed or repeated."""
    document = copy.deepcopy(document)
    for _ in range(1 + choices.randrange(8)):
        node = document
        while True:
            places = list(node) if isinstance(node, dict) else range(len(node))
            if not places:
                break
            place = choices.choice(places)
            child = node[place]
            if isinstance(child, (dict, list)) and child and choices.randrange(4):
                node = child
                continue
            _damage_item(node, place, choices)
            break
    return document


def _damage_item(node: Any, place: Any, choices: Choices) -> None:
    kind = choices.randrange(6)
    if kind == 0:
        del node[place]
    elif kind == 1 and isinstance(node, list):
        node.extend(node[: 1 + choices.randrange(3)])
    elif kind == 2 and type(node[place]) is int:
        node[place] += choices.choice((-1000, -8, -1, 1, 7, 1000))
    else:
        node[place] = copy.deepcopy(choices.choice(VALUES))


def json_bytes(document: Any, choices: Choices) -> bytes:
    """Return a damaged document as text, at times cut, nested deeply or with other bytes in it."""
    text = json.dumps(damaged_json(document, choices)).encode("utf-8", "surrogatepass")
    kind = choices.randrange(16)
    if kind < 2:
        cut = choices.randrange(len(text) + 1)
        text = text[:cut] + choices.rest() + text[cut + choices.randrange(64) :]
    elif kind == 2:
        text = b'{"a":[' * choices.choice(DEPTHS) + text
    return text


def edited(content: bytes, choices: Choices, *, max_edits: int = 4) -> bytes:
    """Return content with a few bytes replaced, removed or added, at times cut."""
    found = bytearray(content)
    for _ in range(1 + choices.randrange(max_edits)):
        # Counted from the end at times: what describes a Parquet file is there.
        place = choices.randrange(len(found) + 1)
        if choices.randrange(2):
            place = max(0, len(found) - 1 - choices.randrange(1 << 10))
        kind = choices.randrange(4)
        if kind == 0:
            found[place : place + 1] = bytes([choices.randrange(256)])
        elif kind == 1:
            found[place : place + 1 + choices.randrange(8)] = b""
        elif kind == 2:
            found[place:place] = choices.choice(
                (b"\0", b"\xff" * 4, b"\xff\xff\xff\xff\x0f", b"\x80")
            )
        else:
            found[place : place + 1] = (
                bytes([found[place] ^ (1 << choices.randrange(8))]) if place < len(found) else b""
            )
    return bytes(found)
