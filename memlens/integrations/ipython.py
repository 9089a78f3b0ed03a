"""Magics for IPython and notebooks: ``%%memory``, ``%why_alive`` and ``%leaks``.

Load them with ``%load_ext memlens``. Nothing of IPython is imported before that.
"""

from __future__ import annotations

import ast
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from typing import Any

from memlens._text import fitted, format_bytes, format_change
from memlens.errors import MemlensError, MissingExtraError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.paths import RetentionPath
from memlens.heap.live import Retention, why_alive
from memlens.integrations.notebooks.cell_memory import CellBlock
from memlens.integrations.notebooks.cell_snapshots import CellSnapshots, follows_cells
from memlens.integrations.notebooks.cells import CellLog, cell_names, cell_text, current_cell
from memlens.integrations.notebooks.notebook_memory import (
    KeptObject,
    NotebookMemory,
    growth_by_cell,
    kept_objects,
)
from memlens.leaks.leak_report import LeakReport, find_leaks
from memlens.leaks.patterns.notebook import holder_of_ipython
from memlens.process.reading import read_memory

__all__ = ("Session", "load", "unload")

_MIN_FOR_LEAKS = 3
_MAX_PATHS = 10
_sessions: dict[int, Session] = {}


def load(shell: Any) -> None:
    """Register the magics with an IPython shell: ``%load_ext memlens`` calls this.

    Raises ``MissingExtraError`` if it is called outside of IPython.
    """
    if not hasattr(shell, "register_magic_function"):
        raise MissingExtraError(
            "load_ipython_extension needs an IPython shell: pip install memlens[notebook], then"
            " %load_ext memlens in IPython or a notebook"
        )
    if id(shell) in _sessions:
        return
    session = _sessions[id(shell)] = Session(shell)
    shell.register_magic_function(session.memory, "cell", "memory")
    shell.register_magic_function(session.why_alive, "line", "why_alive")
    shell.register_magic_function(session.leaks, "line", "leaks")
    shell.events.register("post_run_cell", session.after_cell)


def unload(shell: Any) -> None:
    """Remove the magics and stop following cells: ``%unload_ext memlens`` calls this."""
    session = _sessions.pop(id(shell), None)
    if session is None:
        return
    shell.events.unregister("post_run_cell", session.after_cell)
    session.stop()
    magics = shell.magics_manager.magics
    for kind, name in (("cell", "memory"), ("line", "why_alive"), ("line", "leaks")):
        magics[kind].pop(name, None)


class Session:
    """The magics of one IPython shell and what they know of its cells."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._log = CellLog(shell)
        self._snapshots = CellSnapshots()
        self._looks = False  # this cell only asks: it is no step of the program
        self._old: frozenset[int] | None = None
        self._since: str | None = None

    # -- %%memory --------------------------------------------------------------------------------

    def memory(self, line: str, cell: str) -> Any:
        """Measure the memory of a cell.

        %%memory [--limit N] [--frames N]

        Prints what the cell kept and its peak, in Python's allocators and those of numpy, and the
        N lines (5) whose memory grew most. Tracing makes the cell slower.
        """
        __tracebackhide__ = True  # of IPython: its tracebacks begin with the cell
        options = self._integers(line, {"--limit": 5, "--frames": 10})
        seen = f"{f'%%memory {line}'.rstrip()}\n{cell}"
        steps, file = self._compiled(cell)
        block = self._checked(
            lambda: CellBlock(
                cell_text(current_cell(self._shell)),
                file,
                limit=options["--limit"],
                frames=options["--frames"],
            )
        )
        before = read_memory().rss_bytes
        try:
            with block:
                value = self._run(steps)
        finally:
            self._display(block.cell_result(cell_names(self._shell), seen))
            after = read_memory().rss_bytes
            change = format_change(after - before)
            print(f"Resident memory: {change}, now {format_bytes(after)}")
        return value

    def _compiled(self, cell: str) -> tuple[list[Any], str]:
        """Return code objects for a cell, and the name of the file that it is compiled as.

        The last one may be an expression, which is the value of the cell. Lines are numbered
        as the user sees them: the magic is line 1.
        """
        shell = self._shell
        source = shell.transform_cell(cell)
        # IPython removes empty lines at the beginning.
        above = 1 + sum(1 for _ in takewhile(str.isspace, cell.splitlines(keepends=True)))
        source = "\n" * above + source
        file = shell.compile.cache(source, current_cell(shell), raw_code=cell)
        tree = shell.transform_ast(shell.compile.ast_parse(source, filename=file))
        last: ast.Expression | None = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        steps = [shell.compile(tree, file, "exec")]
        if last is None or source.rstrip().endswith(";"):
            hidden = [] if last is None else [shell.compile(last, file, "eval")]
            return [*steps, *hidden, None], file
        return [*steps, shell.compile(last, file, "eval")], file

    def _run(self, steps: list[Any]) -> Any:
        __tracebackhide__ = True
        namespace = self._shell.user_ns
        value = None
        for step in steps:
            value = None if step is None else eval(step, namespace)
        return value

    # -- %why_alive ------------------------------------------------------------------------------

    def why_alive(self, line: str) -> None:
        """Show what keeps an object alive.

        %why_alive NAME

        NAME is a name or an expression such as ``df`` or ``cache['key']``. Shows the names and cells
        that hold the object, then the other paths to it, and how to release it.
        """
        self._looks = True
        if not line.strip():
            raise self._usage("%why_alive NAME: give a name or an expression")
        # The object itself is in no variable here: this frame would be a holder.
        address = self._address(line)
        found = self._checked(lambda: why_alive(self._shell.ev(line), limit=_MAX_PATHS))
        print("\n".join(self._why_text(address, found)))

    def _address(self, line: str) -> int:
        """Return the address of the value of an expression; a wrong one is a ``UsageError``."""
        try:
            return id(self._shell.ev(line))
        except NameError as error:
            raise self._usage(f"no name {error.name or line.strip()!r}") from None
        except SyntaxError as error:
            text = f"{line.strip()!r} is not a name or an expression: {error.msg}"
            raise self._usage(text) from None
        except Exception as error:  # noqa: BLE001 - whatever the expression raises
            what = "".join(traceback.format_exception_only(error)).strip()
            raise self._usage(f"{line.strip()!r} has no value: {what}") from None

    def _why_text(self, address: int, found: Retention) -> list[str]:
        lines = [fitted(found.subject)]
        holders = self._log.holders().get(address, [])
        if holders:
            lines.append("Kept alive in this session by:")
            lines += [fitted(f"  {holder}") for holder in holders]
            lines.append(fitted(f"To release it: {self._advice(address)}"))
        for path in found.paths:
            holder = holder_of_ipython(path)
            is_named = path.root == "__main__" and len([hop for hop in path.hops if hop.text]) == 1
            if holders and (is_named or holder is not None):
                continue
            lines += ["", path.tree()]
            text = self._start_text(path)
            if text is None and holder is not None:
                text = f"This is {holder.what}. {holder.advice}"
            lines += [] if text is None else [fitted(text)]
        if not holders and not found.paths:
            lines.append("Only the cell itself refers to it.")
        return lines

    def _start_text(self, path: RetentionPath) -> str | None:
        """Say what holds the object that a path starts with, if that is a name of the session."""
        names = [hop.text.removeprefix(".") for hop in path.hops if hop.text]
        if path.root != "__main__" or not names:
            return None
        address = self._log.address_of(names[0])
        holders = self._log.holders().get(address, []) if address is not None else []
        if address is None or not holders:
            return None
        return f"{names[0]} is kept by {'; '.join(holders)}. To release it: {self._advice(address)}"

    def _advice(self, address: int) -> str:
        names = self._log.names_of(address)
        if not names:
            return (
                "run a cell that raises another error, such as 1/0: it replaces the last traceback"
            )
        if all(name.startswith("_") for name in names):
            return f"%xdel {names[0]} (or %reset -f out for all outputs)"
        users = [name for name in names if not name.startswith("_")]
        if len(users) == len(names) == 1:
            return f"del {users[0]}"
        return f"%xdel {users[0]}, which removes it from all names and from Out"

    # -- %leaks ----------------------------------------------------------------------------------

    def leaks(self, line: str) -> None:
        """Show what the cells of this session leave behind.

        %leaks start    take a baseline; from now on a snapshot follows each cell, where that is cheap
        %leaks          show the objects that names and outputs keep, and what grew since the start
        %leaks stop     forget the baseline
        """
        self._looks = True
        command = line.strip()
        if command == "start":
            self._start()
        elif command == "stop":
            self.stop()
        elif command:
            raise self._usage("%leaks [start | stop]")
        else:
            self._show_leaks()

    def stop(self) -> None:
        """Forget the snapshots."""
        self._snapshots.stop()
        self._old, self._since = None, None

    def _start(self) -> None:
        self.stop()
        self.stop()
        since = cell_text(current_cell(self._shell))
        baseline = self._checked(lambda: self._snapshots.start(since))
        self._old, self._since = frozenset(self._log.holders()), since
        how = "follows each cell" if follows_cells() else "is taken by each %leaks"
        print(fitted(f"Baseline: {baseline!r}. From now on a snapshot {how}."))

    def _show_leaks(self) -> None:
        holders = self._log.holders()
        snapshot = self._checked(lambda: take_heap_snapshot(reason="leaks"))
        self._snapshots.settle()
        cells = {address: self._log.first_cell(address) for address in holders}
        steps = self._snapshots.steps()
        kept = kept_objects(
            snapshot.graph,
            holders,
            {address: self._advice(address) for address in holders},
            cells,
            self._old,
            {
                address: growth_by_cell(
                    steps, address, None if address in (self._old or ()) else cells[address]
                )
                for address in holders
            },
        )
        growth = None
        kept_snapshots = self._snapshots.kept
        if kept_snapshots:
            if not follows_cells():
                self._snapshots.add(snapshot)
            first = kept_snapshots[0]
            growth = sum(change.shallow_delta_bytes for change in first.compare(snapshot))
        self._display(NotebookMemory(kept, growth, self._since))
        if len(kept_snapshots) >= _MIN_FOR_LEAKS:
            report = find_leaks(kept_snapshots)
            if report.verdict == "no leak":
                print(fitted(self._no_leak_text(report, kept)))
            else:
                self._display(report)
        elif not kept_snapshots:
            print(fitted("What grows from cell to cell: %leaks start, run cells, then %leaks."))

    def _no_leak_text(self, report: LeakReport, kept: Sequence[KeptObject]) -> str:
        what = "cell" if follows_cells() else "interval"
        text = f"No holder grew in every {what} of the {report.snapshot_count} snapshots"
        if any(row.grew_in for row in kept):
            text += "; the table says in which cells an object grew"
        bounded = "".join(f"\nNot a leak: {one}" for one in report.bounded)
        return f"{text}.{bounded}"

    def after_cell(self, result: Any) -> None:
        """Follow a cell: IPython calls this after each."""
        number = result.execution_count
        if number is None:
            return  # a silent request of the front end, no cell
        looks, self._looks = self._looks, False
        self._log.after_cell(number)
        if self._snapshots.kept and follows_cells() and not looks:
            self._snapshots.follow(number)

    # -- inside ----------------------------------------------------------------------------------

    def _display(self, value: object) -> None:
        import_module("IPython.display").display(value)

    def _usage(self, text: str) -> Exception:
        """Return the error that IPython prints without a traceback."""
        error: Exception = import_module("IPython.core.error").UsageError(text)
        return error

    def _checked(self, action: Any) -> Any:
        try:
            return action()
        except MemlensError as error:
            raise self._usage(str(error)) from None

    def _integers(self, line: str, defaults: dict[str, int]) -> dict[str, int]:
        """Return options with whole numbers; those not given have their defaults."""
        words = line.split()
        found = dict(defaults)
        for name, text in zip(words[::2], [*words[1::2], ""], strict=False):
            if name not in defaults or not text.isdecimal():
                options = " ".join(f"[{option} N]" for option in defaults)
                raise self._usage(f"%%memory {options}")
            found[name] = int(text)
        return found
