"""The strings of a ``.heapsnapshot``: those of the heap as they are, and what is added to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import IO

from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("StringTable",)

_CHUNK = 4096  # strings that are encoded at once


class StringTable:
    """Numbers the strings of one file.

    String 0 is a placeholder, as V8 writes it; the stored strings of the graph follow in their order,
    then blocks of texts that are made when they are written, then the texts that were added.
    """

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph
        self._blocks: list[Callable[[], Iterable[str]]] = []
        self._next = 1 + graph.string_count
        self._added: dict[str, int] = {}

    def stored(self, number: int) -> int:
        """Return the number in the file of a stored string of the graph."""
        return number + 1

    def add_block(self, count: int, texts: Callable[[], Iterable[str]]) -> int:
        """Reserve numbers for ``count`` texts that ``texts()`` yields later; return the first.

        All blocks come before the first text that is added.
        """
        assert not self._added, "a block after a text"
        self._blocks.append(texts)
        first, self._next = self._next, self._next + count
        return first

    def add(self, text: str) -> int:
        """Return the number of a text, which is written once however often it is added."""
        number = self._added.get(text)
        if number is None:
            number = self._added[text] = self._next
            self._next += 1
        return number

    def __len__(self) -> int:
        return self._next

    def _all(self) -> Iterator[str]:
        graph = self._graph
        stored = map(graph.string, range(graph.string_count))
        return chain(["<dummy>"], stored, *(texts() for texts in self._blocks), self._added)

    def write(self, file: IO[bytes]) -> None:
        """Write the strings as a JSON array, some at a time."""
        texts = self._all()
        separator = b"["
        while some := list(islice(texts, _CHUNK)):
            file.write(separator)
            file.write(json.dumps(some, separators=(",\n", ":"))[1:-1].encode())
            separator = b",\n"
        file.write(b"]")
