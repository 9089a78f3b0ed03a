"""CellBlock and CellResult: the memory of one cell, attributed to its own lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memlens._display import displayed
from memlens._frame import Frame
from memlens._text import format_change
from memlens.allocations.blocks.measurement import BlockMeasurement
from memlens.allocations.blocks.memory_block import MemoryBlock
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.tracing.trace_table import TraceDifference

__all__ = ("CellBlock", "CellResult")

_SHELL_PACKAGES = ("IPython", "ipykernel", "traitlets", "jupyter_client", "tornado", "zmq")
_SPARE_LINES = 20  # lines of the shell that are left out of a result


class CellBlock(MemoryBlock):
    """Measures a cell whose code was compiled as ``file``: memory belongs to its lines first."""

    def __init__(self, name: str, file: str, *, limit: int, frames: int) -> None:
        super().__init__(name, limit=limit, frames=frames)
        self._file = file

    def _begin(self, name: str, key: object) -> BlockMeasurement:
        return BlockMeasurement(
            name,
            limit=self.limit + _SPARE_LINES if self.limit else 0,
            frames=self.frames,
            collect=self.collect,
            key=key,
            home_file=self._file,
        )

    def cell_result(self, cells: Mapping[str, str], source: str) -> CellResult:
        """Return the result with the names of ``cells`` for the files that they are compiled as.

        ``source`` is the text of this cell as the user sees it, from its line 1 on.
        """
        rows = [row for row in self.result.lines if not _is_of_shell(row, self._file)]
        lines = tuple(
            row._replace(
                call_path=tuple(f._replace(file=cells.get(f.file, f.file)) for f in row.call_path)
            )
            for row in rows[: self.limit]
        )
        result = CellResult(*self.result._replace(lines=lines))
        result.home = cells.get(self._file, self._file)
        result.source = tuple(source.split("\n"))
        return result


@displayed
class CellResult(BlockResult):
    """The result of a measured cell. Its rows begin with the line of the cell and its source.

    ``home`` is the name of the cell, ``source`` its lines.
    """

    home: str
    source: tuple[str, ...]

    def cells(self) -> list[tuple[str, str, str]]:
        """Return the texts of the lines: growth, new blocks and where."""
        cells = []
        for row in self.lines:
            first, *others = self._places(row)
            growth, blocks = format_change(row.difference_bytes), f"{row.difference_count:+,}"
            cells.append((growth, blocks, first))
            cells += [("", "", text) for text in others]
        return cells

    def _places(self, row: TraceDifference) -> list[str]:
        place, inner = row.call_path[0], row.call_path[1:]
        if place.file != self.home:
            return [str(row.frame), *(f"  from {f}" for f in reversed(row.call_path[:-1]))]
        return [f"{place}  {self._text(place)}".rstrip(), *(f"  through {f}" for f in inner)]

    def _text(self, place: Frame) -> str:
        is_known = 0 < place.line <= len(self.source)
        return self.source[place.line - 1].strip() if is_known else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values, with the source of the lines of the cell."""
        plain = super().to_dict()
        for values, row in zip(plain["lines"], self.lines, strict=True):
            place = row.call_path[0]
            values["source"] = self._text(place) if place.file == self.home else None
        return plain


def _is_of_shell(row: TraceDifference, home_file: str) -> bool:
    """Tell whether the shell allocated for itself, not for a line of the cell."""
    if any(frame.file == home_file for frame in row.call_path):
        return False
    folders = {name for f in row.call_path for name in f.file.replace("\\", "/").split("/")}
    return not folders.isdisjoint(_SHELL_PACKAGES)
