"""The screens above the main one: details of a suspect, the program's output, the keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Footer, Static

from memlens._text import format_bytes, format_change, format_count, middle_cut, printable
from memlens.leaks.suspects import LeakSuspect
from memlens.watch.drill import Detail

__all__ = ("DrillScreen", "HelpScreen", "OutputScreen")

_HELP = """\
memlens watch

  p       pause: stop to read, or go on
  /       search holders, types, patterns and sites; Esc shows all again
  Enter   from a suspect to its path and its largest objects
  s       take a snapshot (of a program that memlens started)
  w       write a report of what is shown, as text, JSON and HTML
  o       the output of a program that memlens started
  q       quit; a program that memlens started ends, too
  ?       this help; Esc closes it

Readings come from the system or from the snapshots. A trend is stated
if the 99.9 % interval of its slope excludes zero. Holders need three
snapshots. Growth at a site (~) is an estimate from sampled allocations."""


class Looked(Message):
    """The details of a suspect are known."""

    def __init__(self, detail: Detail) -> None:
        super().__init__()
        self.detail = detail


class DrillScreen(Screen[None]):
    """One suspect: what to do, its path, its sites, and its largest objects.

    ``look`` returns the details; it may take long and runs in a thread.
    """

    CSS = """
    DrillScreen #text { height: auto; max-height: 60%; }
    DrillScreen #status { height: 1; text-style: bold; }
    DrillScreen #objects { height: 1fr; min-height: 5; }
    """
    BINDINGS: ClassVar[list[Any]] = [("escape,backspace", "dismiss", "Back")]

    def __init__(self, suspect: LeakSuspect, look: Callable[[], Detail]) -> None:
        super().__init__()
        self._suspect, self._look = suspect, look

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        with VerticalScroll(id="text"):
            yield Static(self._text(), markup=False)
        yield Static("opening the snapshot ...", id="status", markup=False)
        yield DataTable(id="objects", cursor_type="row")
        yield Footer()

    def _text(self) -> str:
        suspect = self._suspect
        sites = [f"allocated at: {share}" for share in suspect.sites]
        lines = [
            f"{suspect.holder} grows: +{format_count(suspect.count_growth)} elements,"
            f" {format_change(suspect.retained_growth_bytes)}",
            f"holder: {suspect.holder_type}, retains {format_bytes(suspect.retained_bytes)}",
            f"gains: {', '.join(suspect.growing_types)}",
            f"pattern: {suspect.pattern or 'unknown'}: {suspect.evidence}",
            f"what to do: {suspect.suggestion}",
            *sites,
            "path:",
            suspect.path.tree(),
        ]
        return "\n".join("\n".join(map(printable, line.split("\n"))) for line in lines)

    def on_mount(self) -> None:
        """Look into the snapshot."""
        table = self.query_one("#objects", DataTable)
        table.add_column("retained", width=11)
        table.add_column("object")
        table.focus()
        self.run_worker(lambda: self.post_message(Looked(self._look())) and None, thread=True)

    def on_looked(self, message: Looked) -> None:
        """Show the largest objects."""
        detail = message.detail
        title = f"largest objects: {len(detail.objects)}" if detail.objects else "no objects below"
        self.query_one("#status", Static).update(detail.failure or title)
        table = self.query_one("#objects", DataTable)
        room = max(20, self.size.width - 18)
        for retained, text in detail.objects:
            table.add_row(Text(retained, justify="right"), Text(middle_cut(text, room)))


class OutputScreen(Screen[None]):
    """The end of what the program has written."""

    BINDINGS: ClassVar[list[Any]] = [("escape,backspace,o", "dismiss", "Back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        lines = text.rstrip("\n").split("\n")
        self._text = "\n".join(map(printable, lines)) or "the program has written nothing"

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        with VerticalScroll(id="output"):
            yield Static(self._text, markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Show the end."""
        self.query_one("#output", VerticalScroll).scroll_end(animate=False)


class HelpScreen(ModalScreen[None]):
    """The keys and what the numbers mean."""

    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen #help { width: 76; height: auto; border: solid $primary; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[Any]] = [("escape,question_mark,q,enter", "dismiss", "Back")]

    def compose(self) -> ComposeResult:
        """Yield the text."""
        yield Static(_HELP, id="help", markup=False)
