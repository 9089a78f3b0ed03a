"""Classes, names and texts of the nodes of V8, as Chrome DevTools shows them."""

from __future__ import annotations

from array import array

from memlens.formats.heapsnapshot.v8_columns import V8Columns

__all__ = ("V8Names",)

_CLASS_OF_TYPE = {
    "hidden": "(system)",
    "code": "(compiled code)",
    "closure": "Function",
    "regexp": "RegExp",
}
_NAMED_BY_CLASS = ("object", "native")
_STRING = "string"
_CUT_BYTES = 1000  # V8 cuts texts at 1024 characters: longer ones may only begin alike


class V8Names:
    """The type of each node, the types, and the sparse columns of names, texts and equal strings."""

    def __init__(self, columns: V8Columns) -> None:
        self._columns = columns
        self._rows: dict[str, int] = {}
        self.type_name = array("I")  # by row
        self._row("(root)")
        self.node_type = self._node_types()
        self._find_texts()

    def _row(self, name: str) -> int:
        """Return the row of a class."""
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._rows)
            strings = self._columns.strings
            strings.add(name.encode("utf-8", "surrogatepass"))
            self.type_name.append(len(strings.offset) - 2)
        return row

    def _node_types(self) -> array[int]:
        columns = self._columns
        by_type = [
            None if name in _NAMED_BY_CLASS else self._row(_CLASS_OF_TYPE.get(name, f"({name})"))
            for name in columns.node_types
        ]
        by_name = _RowsByName(self)
        types, names = columns.nodes["type"], columns.nodes["name"]
        rows = array(
            "I",
            [
                by_name[name] if row is None else row
                for row, name in zip(map(by_type.__getitem__, types), names, strict=True)
            ],
        )
        rows[0] = 0
        return rows

    def row_of_name(self, number: int) -> int:
        """Return the row of the class of objects with a name, cut as DevTools cuts it."""
        offset, data = self._columns.strings.offset, self._columns.strings.data
        name = data[offset[number + 1] : offset[number + 2]].decode("utf-8", "replace")
        start = len("Detached ") if name.startswith("Detached <") else 0
        if name.startswith("<", start) and (blank := name.find(" ", start)) >= 0:
            name = f"{name[:blank]}>"
        return self._row(name)

    def _find_texts(self) -> None:
        """Find the names of nodes whose class is another, and the texts of strings."""
        columns = self._columns
        types = columns.nodes["type"]
        kinds = bytes(
            2 if name == _STRING else name not in _NAMED_BY_CLASS for name in columns.node_types
        )
        marks = bytes(map(kinds.__getitem__, types))
        names, offset = columns.nodes["name"], columns.strings.offset
        self.named, self.valued = (
            array("I", [node for node, mark in enumerate(marks) if mark == wanted and node])
            for wanted in (1, 2)
        )
        self.named_text = array("I", [names[node] + 1 for node in self.named])
        self.valued_text = array("I", [names[node] + 1 for node in self.valued])
        groups: dict[int, list[int]] = {}
        for node, text in zip(self.valued, self.valued_text, strict=True):
            groups.setdefault(text, []).append(node)
        equal = sorted(
            (node, number)
            for number, nodes in enumerate(
                nodes
                for text, nodes in groups.items()
                if len(nodes) > 1 and offset[text + 1] - offset[text] < _CUT_BYTES
            )
            for node in nodes
        )
        self.equal = array("I", [node for node, _ in equal])
        self.equal_group = array("I", [number for _, number in equal])


class _RowsByName(dict[int, int]):
    """The row of the class by the number of a name."""

    def __init__(self, names: V8Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, number: int) -> int:
        row = self[number] = self._names.row_of_name(number)
        return row
