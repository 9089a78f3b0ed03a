"""CellLog: which cell of a notebook assigned a name, and what of IPython holds an object."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from memlens._frame import Frame, is_program_file

__all__ = ("CellLog", "cell_names", "cell_of_file", "cell_text", "current_cell")


def cell_text(number: int) -> str:
    """Return the name of a cell: ``In [7]``."""
    return f"In [{number}]"


def current_cell(shell: Any) -> int:
    """Return the number of the cell that runs. IPython counts on before or after it, by version."""
    return max(len(shell.user_ns["In"]) - 1, 0)


def cell_of_file(shell: Any, file: str) -> str | None:
    """Return the name of the cell that IPython compiled under a file name; None for other files."""
    return cell_names(shell).get(file)


def cell_names(shell: Any) -> dict[str, str]:
    """Return the names of all cells by the file names that IPython compiled them under."""
    files: dict[str, int] = getattr(shell.compile, "_filename_map", {})
    return {file: cell_text(number) for file, number in files.items()}


class CellLog:
    """Follows which cell assigned which name. It keeps numbers and names, never objects."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._ids = self._bound()
        self._cells: dict[str, int] = {}
        # None: before the extension was loaded.
        self._first_cells: dict[int, int | None] = dict.fromkeys(self._ids.values())
        self._first_cells |= {id(value): cell for cell, value in self._outputs().items()}

    def after_cell(self, number: int) -> None:
        """Record the names that a cell assigned and the objects that it left behind."""
        before, self._ids = self._ids, self._bound()
        for name, address in self._ids.items():
            if before.get(name) != address:
                self._cells[name] = number
        known = self._first_cells
        named = {*self._ids.values(), *map(id, self._outputs().values())}
        self._first_cells = {address: known.get(address, number) for address in named}

    def cell_of(self, name: str) -> str | None:
        """Return the cell that assigned a name; None if that was before the extension was loaded."""
        number = self._cells.get(name)
        return None if number is None else cell_text(number)

    def first_cell(self, address: int) -> str | None:
        """Return the cell after which an object was first held; None if it was there before."""
        number = self._first_cells.get(address)
        return None if number is None else cell_text(number)

    def holders(self) -> dict[int, list[str]]:
        """Return what of the session holds each object, by its address, names of the user first."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for name, value in self._names():
            cell = self.cell_of(name)
            where = f", assigned in cell {cell}" if cell else ""
            found[id(value)].append(f"the name {name}{where}")
        for number, value in self._outputs().items():
            found[id(value)].append(f"Out[{number}]")
        for name in ("_", "__", "___"):
            if name in self._shell.user_ns:
                found[id(self._shell.user_ns[name])].append(name)
        for address, text in self._of_traceback():
            found[address].append(text)
        return dict(found)

    def address_of(self, name: str) -> int | None:
        """Return the address of the object that a name of the session has; None without one."""
        namespace = self._shell.user_ns
        return id(namespace[name]) if name in namespace else None

    def names_of(self, address: int) -> list[str]:
        """Return the names of the user for an object, then the names of outputs (``_12``)."""
        names = [name for name, value in self._names() if id(value) == address]
        outputs = [
            f"_{number}" for number, value in self._outputs().items() if id(value) == address
        ]
        return [*names, *outputs]

    def _bound(self) -> dict[str, int]:
        return {name: id(value) for name, value in self._names()}

    def _names(self) -> Iterator[tuple[str, Any]]:
        """Yield the names of the user, as ``%who`` does."""
        hidden = self._shell.user_ns_hidden
        for name, value in list(self._shell.user_ns.items()):
            if not name.startswith("_") and name not in hidden:
                yield name, value

    def _outputs(self) -> dict[int, Any]:
        return dict(self._shell.user_ns.get("_oh", {}))

    def _of_traceback(self) -> Iterator[tuple[int, str]]:
        """Yield the local variables of the last traceback."""
        traceback = getattr(sys, "last_traceback", None)
        while traceback is not None:
            frame = traceback.tb_frame
            code = frame.f_code
            file = cell_of_file(self._shell, code.co_filename) or code.co_filename
            is_own = file != code.co_filename or is_program_file(file)
            if is_own and frame.f_globals is not frame.f_locals:
                place = Frame(code.co_qualname, file, traceback.tb_lineno)
                for name, value in list(frame.f_locals.items()):
                    yield id(value), f"the local {name} of {place} in the last traceback"
            traceback = traceback.tb_next
