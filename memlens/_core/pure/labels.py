"""String numbers, and the labels of edges."""

from __future__ import annotations

from array import array
from typing import Any

from memlens._core.layout import LABEL_BITS, MAX_PAYLOAD, EdgeKind

__all__ = (
    "EMPTY",
    "KEY_TEXT_LIMIT",
    "KeyLabels",
    "NameLabels",
    "StringTable",
    "index_labels",
    "label",
    "shown_value",
)

EMPTY = array("I")
KEY_TEXT_LIMIT = 80  # characters
_LONGEST_INT_BITS = 600  # more digits than the limits show
_SHOWN_AS_REPR = frozenset({id(int), id(float), id(bool), id(type(None))})
_indices = array("I", [position << LABEL_BITS | EdgeKind.INDEX for position in range(1024)])


def label(kind: EdgeKind, payload: int = 0) -> int:
    """Return a label as defined by `memlens._core.layout`."""
    return payload << LABEL_BITS | kind


def index_labels(count: int) -> array[int]:
    """Return the labels of positions 0 to ``count - 1``; larger ones use the last payload."""
    if count <= len(_indices):
        return _indices[:count]
    step = 1 << LABEL_BITS
    made = array("I", range(EdgeKind.INDEX, min(count, MAX_PAYLOAD + 1) * step, step))
    return made + array("I", [label(EdgeKind.INDEX, MAX_PAYLOAD)]) * (count - len(made))


class StringTable(dict[str, int]):
    """Numbers strings in the order of their first use; string 0 is ""."""

    def __init__(self) -> None:
        super().__init__({"": 0})

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number

    def sections(self) -> dict[str, array[int]]:
        """Return the two sections of strings."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in self]
        offsets = array("Q", [0])
        end = 0
        for text in encoded:
            end += len(text)
            offsets.append(end)
        return {"string_offset": offsets, "string_bytes": array("B", b"".join(encoded))}


class NameLabels(dict[str, int]):
    """The labels of one kind, by name."""

    def __init__(self, kind: EdgeKind, strings: StringTable) -> None:
        super().__init__()
        self._kind = kind
        self._strings = strings

    def __missing__(self, name: str) -> int:
        made = self[name] = label(self._kind, self._strings[name])
        return made


def shown_value(value: Any, limit: int) -> str | None:
    """Return the shortened text of an exact string, bytes or number; None for other objects."""
    kind = type(value)
    if kind is str:
        return repr(value[:limit])[:limit]
    if kind is bytes:
        return repr(value[:limit])[:limit]
    if kind is int and value.bit_length() > _LONGEST_INT_BITS:
        return f"{hex(value >> (value.bit_length() - _LONGEST_INT_BITS))}..."[:limit]
    if id(kind) in _SHOWN_AS_REPR:
        return repr(value)[:limit]
    return None


class KeyLabels:
    """The labels of dict keys that are data: their type, or their text if values are stored."""

    def __init__(self, strings: StringTable, *, values: bool) -> None:
        self._strings = strings
        self.shows_values = values
        self._by_type: dict[int, int] = {}

    def of(self, key: Any) -> int:
        """Return the label of the value of ``key``."""
        if self.shows_values:
            text = shown_value(key, KEY_TEXT_LIMIT)
            if text is not None:
                return label(EdgeKind.KEY, self._strings[text])
        return self._of_type(type(key))

    def _of_type(self, kind: type) -> int:
        made = self._by_type.get(id(kind))
        if made is None:
            name = type.__dict__["__name__"].__get__(kind)
            made = self._by_type[id(kind)] = label(EdgeKind.KEY, self._strings[f"<{name}>"])
        return made
