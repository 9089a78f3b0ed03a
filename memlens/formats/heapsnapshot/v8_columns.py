"""The columns of a ``.heapsnapshot`` as they are in the file, found by the fields that it declares.

V8 adds fields and types from time to time, so nothing depends on their order. The file is read once,
from the beginning to the end.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memlens._atomic import without_waiting
from memlens._core.layout import NONE
from memlens.errors import SnapshotFileError
from memlens.formats.heapsnapshot.json_stream import JsonStream
from memlens.formats.heapsnapshot.string_sections import StringSections

__all__ = ("V8Columns", "read_columns")

_NODE_COLUMNS = {"type": "I", "name": "I", "id": "Q", "self_size": "Q", "edge_count": "I"}
_EDGE_COLUMNS = {"type": "I", "name_or_index": "I", "to_node": "Q"}
_MAX_TYPES = 256


@dataclass(slots=True)
class V8Columns:
    """The contents of a file: its header, columns by the name of the field, and strings.

    ``node_types`` and ``edge_types`` are the names of the types, by number.
    """

    header: dict[str, Any]
    node_types: list[str]
    edge_types: list[str]
    nodes: dict[str, array[int]]
    edges: dict[str, array[int]]
    strings: StringSections
    modified: float  # seconds since the epoch


class _Header:
    """What the header declares, checked."""

    def __init__(self, stream: JsonStream, header: Any) -> None:
        meta = header.get("meta") if type(header) is dict else None
        if type(meta) is not dict:
            raise stream.error("its header has no 'meta', as .heapsnapshot files have")
        self.values = header
        self.node_fields = _texts(stream, meta, "node_fields", _NODE_COLUMNS)
        self.edge_fields = _texts(stream, meta, "edge_fields", _EDGE_COLUMNS)
        self.node_types = _types(stream, meta, "node_types", self.node_fields)
        self.edge_types = _types(stream, meta, "edge_types", self.edge_fields)


def _texts(stream: JsonStream, meta: Any, name: str, needed: Any) -> list[str]:
    fields = meta.get(name)
    if type(fields) is not list or any(type(field) is not str for field in fields):
        raise stream.error(f"its header has no list of texts {name!r}")
    missing = [field for field in needed if field not in fields]
    if missing:
        raise stream.error(f"its {name} lack {missing[0]!r}")
    return fields


def _types(stream: JsonStream, meta: Any, name: str, fields: list[str]) -> list[str]:
    types = meta.get(name)
    place = fields.index("type")
    names = types[place] if type(types) is list and place < len(types) else None
    if (
        type(names) is not list
        or not 0 < len(names) <= _MAX_TYPES
        or any(type(one) is not str for one in names)
    ):
        raise stream.error(f"its header has no types in {name!r}")
    return names


def read_columns(path: str) -> V8Columns:
    """Read a file. Raises ``SnapshotFileError`` for one that is damaged, or of another kind."""
    try:
        with open(path, "rb", opener=without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SnapshotFileError(f"{path}: not a regular file")
            return _read(JsonStream(file, path), status.st_mtime)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}") from error


def _read(stream: JsonStream, modified: float) -> V8Columns:
    header: _Header | None = None
    tables: dict[str, dict[str, array[int]]] = {}
    strings: StringSections | None = None
    for name in stream.members():
        if name == "snapshot":
            header = _Header(stream, stream.value())
        elif name in ("nodes", "edges") and header is not None:
            is_nodes = name == "nodes"
            fields = header.node_fields if is_nodes else header.edge_fields
            wanted = _NODE_COLUMNS if is_nodes else _EDGE_COLUMNS
            tables[name] = _read_table(stream, name, fields, wanted)
        elif name == "strings":
            strings = StringSections()
            strings.add(b"")  # string 0 of a heap
            stream.strings(strings.add)
        else:
            stream.skip()
    if header is None or len(tables) < 2 or strings is None:
        raise stream.error(
            "'snapshot', 'nodes', 'edges' and 'strings' must be there, in this order"
        )
    columns = V8Columns(
        header.values, header.node_types, header.edge_types, tables["nodes"], tables["edges"],
        strings, modified,
    )  # fmt: skip
    _check(stream, columns, len(header.node_fields))
    return columns


def _read_table(
    stream: JsonStream, name: str, fields: Sequence[str], wanted: dict[str, str]
) -> dict[str, array[int]]:
    """Read rows of numbers into a column for each of the wanted fields."""
    columns = {field: array(code) for field, code in wanted.items()}
    places = [(fields.index(field), column) for field, column in columns.items()]
    width, position = len(fields), 0
    for numbers in stream.integers():
        try:
            for place, column in places:
                column.extend(numbers[(place - position) % width :: width])
        except OverflowError as error:
            raise stream.error(f"{name!r} has a number that is too large") from error
        position = (position + len(numbers)) % width
    if position:
        raise stream.error(f"{name!r} ends within a row")
    return columns


def _check(stream: JsonStream, columns: V8Columns, node_width: int) -> None:
    """Check all numbers that name something; make targets numbers of nodes."""
    nodes, edges = columns.nodes, columns.edges
    node_count, string_count = len(nodes["id"]), len(columns.strings.offset) - 2
    if columns.header.get("root_index", 0) != 0:
        raise stream.error("its root is not its first node: such files are not supported")
    if not 0 < node_count < NONE:
        raise stream.error(f"it has {node_count} nodes")
    for what, declared, found in (
        ("nodes", "node_count", node_count),
        ("edges", "edge_count", len(edges["type"])),
    ):
        if columns.header.get(declared, found) != found:
            raise stream.error(
                f"{declared} is {columns.header[declared]!r}, but {found} {what} are there"
            )
    if sum(nodes["edge_count"]) != len(edges["type"]):
        raise stream.error("the edges of its nodes are not those that are there")
    if max(nodes["type"]) >= len(columns.node_types):
        raise stream.error("a node has an unknown type")
    if max(edges["type"], default=0) >= len(columns.edge_types):
        raise stream.error("an edge has an unknown type")
    if max(nodes["name"]) >= string_count:
        raise stream.error("a node has a name that is not there")
    if sum(nodes["self_size"]) >= 1 << 63:
        raise stream.error("its sizes are too large")
    if any(target % node_width for target in edges["to_node"]):
        raise stream.error("an edge leads into the middle of a node")
    if max(edges["to_node"], default=0) >= node_count * node_width:
        raise stream.error("an edge leads to a node that is not there")
    edges["to_node"] = array("I", (target // node_width for target in edges["to_node"]))
