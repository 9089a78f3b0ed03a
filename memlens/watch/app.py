"""The live screen: a textual application over a source, which never waits for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Sparkline, Static

from memlens._text import format_bytes, format_change, format_count, middle_cut, printable
from memlens.errors import MemlensError
from memlens.leaks.suspects import LeakSuspect
from memlens.profiler.analysis import Analysis, Answer
from memlens.watch.drill import Detail, Drill
from memlens.watch.model import WatchModel
from memlens.watch.report_files import write_report
from memlens.watch.screens import DrillScreen, HelpScreen, OutputScreen
from memlens.watch.source import Source, SourceState

__all__ = ("WatchApp",)

_SPARK_POINTS = 240
_MIN_LINES = 18  # of a terminal that shows sites and the chart, too
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_OF_MAIN_SCREEN = frozenset(
    {"pause", "search", "clear_search", "output", "help", "write", "snapshot"}
)

Analyse = Callable[[tuple[str, ...]], Answer]
LookInto = Callable[[str, LeakSuspect], Detail]


class Observed(Message):
    """The source has answered."""

    def __init__(self, state: SourceState | None, failure: str = "") -> None:
        super().__init__()
        self.state, self.failure = state, failure


class Analysed(Message):
    """An analysis has ended."""

    def __init__(self, files: tuple[str, ...], answer: Answer) -> None:
        super().__init__()
        self.files, self.answer = files, answer


class Done(Message):
    """A worker has something to say."""

    def __init__(self, text: str, *, is_failure: bool = False) -> None:
        super().__init__()
        self.text, self.is_failure = text, is_failure


class WatchApp(App[None]):
    """Shows what a source knows; `ended_by` is the signal that ended the screen, if one did.

    ``interval_seconds``: time between two polls; None polls only when `tick` is called.
    ``report_dir``: the folder for reports. ``analyse`` and ``look_into`` run in worker threads and
    have processes of their own by default.
    """

    TITLE = "memlens watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #title { text-style: bold; height: 1; }
    #memory, #trend { height: 1; }
    #spark { height: 2; margin: 0 0 1 0; }
    #verdict { height: auto; max-height: 2; text-style: bold; }
    #suspects { height: 2fr; min-height: 4; }
    #sites { height: 1fr; min-height: 3; }
    #note { height: auto; max-height: 3; color: $text-muted; }
    #search { display: none; height: 1; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        ("p", "pause", "Pause"),
        ("slash", "search", "Search"),
        ("s", "snapshot", "Snapshot"),
        ("w", "write", "Report"),
        ("o", "output", "Output"),
        ("question_mark", "help", "Help"),
        ("q", "quit", "Quit"),
        ("escape", "clear_search", ""),
        ("ctrl+c", "interrupt", ""),
    ]

    def __init__(
        self,
        source: Source,
        *,
        interval_seconds: float | None = 1.0,
        report_dir: str = ".",
        analyse: Analyse | None = None,
        look_into: LookInto | None = None,
        handle_signals: bool = False,
    ) -> None:
        super().__init__()
        self.source = source
        self.model = WatchModel()
        self.is_paused = False
        self.ended_by: int | None = None
        self._interval_seconds = interval_seconds
        self._report_dir = report_dir
        self._analysis, self._drill = Analysis(), Drill()
        self._analyse = analyse or (lambda files: self._analysis.run([files]))
        self._look_into = look_into or self._drill.look_into
        self._handle_signals = handle_signals
        self._is_ready = False
        self._is_polling = self._is_analysing = False
        self._search = ""
        self._shown: tuple[Any, ...] = ()

    # -- the widgets -----------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Yield the widgets of the main screen."""
        yield Static("", id="title", markup=False)
        yield Static("", id="memory", markup=False)
        yield Static("", id="trend", markup=False)
        yield Sparkline([], id="spark")
        yield Static("", id="verdict", markup=False)
        yield DataTable(id="suspects", cursor_type="row")
        yield DataTable(id="sites", cursor_type="none", show_cursor=False)
        yield Static("", id="note", markup=False)
        yield Input(placeholder="search holders, types, patterns and sites", id="search")
        yield Footer()

    def on_mount(self) -> None:
        """Prepare the tables and start to poll."""
        suspects = self._main.query_one("#suspects", DataTable)
        for name, width in (("growth", 11), ("per hour", 10), ("elements", 9), ("holder", None)):
            suspects.add_column(name, width=width, key=name)
        sites = self._main.query_one("#sites", DataTable)
        for name, width in (("growth", 11), ("allocated at", None)):
            sites.add_column(name, width=width, key=name)
        suspects.focus()
        if self._handle_signals:
            self._catch_signals()
        self._is_ready = True
        self.on_resize()
        if self._interval_seconds is not None:
            self.set_interval(self._interval_seconds, self.tick)
            self.tick()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in _ENDING:
            if number := getattr(signal, name, None):
                loop.add_signal_handler(number, self._end_by, int(number))

    def _end_by(self, number: int) -> None:
        self.ended_by = number
        self.exit()

    def on_unmount(self) -> None:
        """End the processes of analyses: the application waits for its threads."""
        self._analysis.stop()
        self._drill.stop()

    @property
    def _main(self) -> Screen[Any]:
        """The screen that shows the model, also while another one is above it."""
        return self.screen_stack[0]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys of the main screen out where another one is above it."""
        return len(self.screen_stack) < 2 or action not in _OF_MAIN_SCREEN

    # -- the source ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Poll the source in a thread, unless that is still done or the screen is paused."""
        if not self._is_polling and not self.is_paused:
            self._is_polling = True
            self.run_worker(self._poll, thread=True, group="poll")

    def _poll(self) -> None:
        try:
            self.post_message(Observed(self.source.poll()))
        except MemlensError as error:
            self.post_message(Observed(None, str(error)))

    def on_observed(self, message: Observed) -> None:
        """Show a state, and start an analysis if there are new files."""
        self._is_polling = False
        if message.state is None:
            self.model.note = message.failure
        else:
            self.model.observe(message.state)
        self._start_analysis()
        self.show_all()

    def _start_analysis(self) -> None:
        files = self.model.files_to_analyse()
        if not files or self._is_analysing:
            return
        self._is_analysing = True
        self.run_worker(
            lambda: self.post_message(Analysed(files, self._analyse(files))) and None,
            thread=True,
            group="analysis",
        )

    def on_analysed(self, message: Analysed) -> None:
        """Show the result of an analysis, and start another one if files have come since."""
        self._is_analysing = False
        self.model.note_analysis(message.files, message.answer.report, message.answer.reason)
        self._start_analysis()
        self.show_all()

    def on_done(self, message: Done) -> None:
        """Show the message of a worker for some seconds."""
        self.notify(
            message.text, severity="error" if message.is_failure else "information", markup=False
        )

    # -- what is shown ---------------------------------------------------------------------------

    def show_all(self) -> None:
        """Show the model. Tables are filled again only if they have changed."""
        if not self._is_ready:  # the first size is told before the widgets are there
            return
        model = self.model
        state = "paused" if self.is_paused else "ended" if model.has_program_ended else "live"
        room = max(20, self.size.width - 18)
        title = middle_cut(printable(self.source.title), room)
        self._set("#title", f"memlens [{state}]  {title}")
        self._set("#memory", model.memory_text())
        self._set("#trend", model.trend_text())
        self._set("#verdict", model.verdict_text())
        self._set("#note", self._note_text())
        self._main.query_one("#spark", Sparkline).data = model.chart(_SPARK_POINTS)
        shown = (model.report, self._search, self.size.width)
        if shown != self._shown:
            self._shown = shown
            self._fill_suspects()
            self._fill_sites()

    def on_resize(self) -> None:
        """Fit the last columns to the new width; leave out what a low terminal has no room for."""
        if self._is_ready:
            for name in ("#sites", "#spark"):
                self._main.query_one(name).display = self.size.height >= _MIN_LINES
        self.show_all()

    def _set(self, selector: str, text: str) -> None:
        self._main.query_one(selector, Static).update(text)

    def _note_text(self) -> str:
        search = f"search: {self._search} (Esc clears)" if self._search else ""
        return "; ".join(filter(None, [search, self.model.note]))

    def _fill_suspects(self) -> None:
        table = self._main.query_one("#suspects", DataTable)
        row = table.cursor_row
        table.clear()
        room = max(20, self.size.width - 42)
        for suspect in self.model.suspects(self._search):
            rate = suspect.growth_bytes_per_hour
            name = f"{suspect.holder}  {suspect.pattern or ''}".rstrip()
            table.add_row(
                Text(format_change(suspect.retained_growth_bytes), justify="right"),
                Text("" if rate is None else format_bytes(rate), justify="right"),
                Text(f"+{format_count(suspect.count_growth)}", justify="right"),
                Text(middle_cut(printable(name), room)),
            )
        if table.row_count:
            table.move_cursor(row=min(row, table.row_count - 1))

    def _fill_sites(self) -> None:
        table = self._main.query_one("#sites", DataTable)
        table.clear()
        room = max(20, self.size.width - 18)
        for site in self.model.sites(self._search):
            where = " <- ".join(frame.short() for frame in reversed(site.call_path))
            table.add_row(
                Text(format_change(site.growth_bytes), justify="right"),
                Text(middle_cut(printable(where), room)),
            )

    # -- keys ------------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Stop to poll, or go on."""
        self.is_paused = not self.is_paused
        self.show_all()
        self.tick()

    def action_search(self) -> None:
        """Show the field for the text to search for."""
        field = self._main.query_one("#search", Input)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search with each letter."""
        self._search = event.value.strip()
        self.show_all()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the search and return to the table."""
        event.input.display = False
        self._main.query_one("#suspects", DataTable).focus()

    def action_clear_search(self) -> None:
        """Show everything again."""
        field = self._main.query_one("#search", Input)
        field.value, field.display = "", False
        self._main.query_one("#suspects", DataTable).focus()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Drill from a suspect to its path and its largest objects."""
        suspects = self.model.suspects(self._search)
        if event.data_table.id != "suspects" or event.cursor_row >= len(suspects):
            return
        suspect, path = suspects[event.cursor_row], self.model.reported[-1]
        self.push_screen(DrillScreen(suspect, lambda: self._look_into(path, suspect)))

    def action_snapshot(self) -> None:
        """Request a snapshot from the source."""
        self._work(self._request_snapshot)

    def _request_snapshot(self) -> str:
        self.source.take_snapshot()
        return "snapshot requested"

    def action_write(self) -> None:
        """Write a report of what is shown."""
        report, files = self.model.report, self.model.reported
        if report is None:
            self.notify("there is nothing to report yet: no analysis has ended", severity="warning")
            return
        self._work(lambda: _written(write_report(report, files, self._report_dir)))

    def _work(self, task: Callable[[], str]) -> None:
        """Run a task in a thread and show its text, or its error."""

        def run() -> None:
            try:
                self.post_message(Done(task()))
            except MemlensError as error:
                self.post_message(Done(str(error), is_failure=True))

        self.run_worker(run, thread=True, group="work")

    def action_output(self) -> None:
        """Show the end of the program's output."""
        text = self.source.output_tail()
        if text is None:
            self.notify("the output of this program is not known", severity="warning")
        else:
            self.push_screen(OutputScreen(text))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    def action_interrupt(self) -> None:
        """End as by SIGINT: the terminal sends Ctrl-C as a key."""
        self._end_by(int(signal.SIGINT))


def _written(paths: list[str]) -> str:
    first, *others = paths
    suffixes = "".join(f", {os.path.splitext(path)[1]}" for path in others)
    return f"written: {first}{suffixes}"
