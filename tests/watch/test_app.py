"""The live screen, driven by textual's own pilot over a source that tests control."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest

pytest.importorskip("textual", reason="needs textual: memlens[tui]")

from textual.widgets import DataTable, Static

from memlens._frame import Frame
from memlens.errors import OptionError, OutputError
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.leaks.leak_report import find_leaks
from memlens.profiler.analysis import Answer
from memlens.watch import report_files
from memlens.watch.app import WatchApp
from memlens.watch.drill import Detail
from memlens.watch.files_source import FilesSource
from memlens.watch.screens import DrillScreen, HelpScreen, OutputScreen
from memlens.watch.source import Reading, SourceState
from tests.watch.heaps import MIB, planted, save

FILES = ("a", "b", "c")


class FakeSource:
    """Gives the states that a test prepares, one a poll; then the last one without readings."""

    title = "process 42: serve.py [--fast]"

    def __init__(self, *states):
        self.states = list(states)
        self.polls = 0
        self.requested = 0
        self.refuses = None
        self.output = None

    def poll(self):
        self.polls += 1
        if self.refuses is not None:
            raise self.refuses
        state = self.states[0] if self.states else SourceState()
        if len(self.states) > 1:
            self.states.pop(0)
        else:
            self.states = [replace(state, readings=())]
        return state

    def take_snapshot(self):
        if self.refuses is not None:
            raise self.refuses
        self.requested += 1

    def output_tail(self):
        return self.output

    def close(self):
        pass


def rising(count=20, **values):
    readings = tuple(Reading(1000.0 + i, (100 + i) * MIB, None, 512 * MIB) for i in range(count))
    return SourceState(readings, **values)


def leaks(files):
    return Answer(find_leaks(planted(len(files))))


class Screen:
    """The application in a test, with its texts."""

    def __init__(self, app, pilot):
        self.app, self.pilot = app, pilot

    async def settle(self):
        """Wait until no worker runs and all messages are handled."""
        for _ in range(4):
            await self.app.workers.wait_for_complete()
            await self.pilot.pause()

    async def tick(self):
        self.app.tick()
        await self.settle()

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.settle()

    def text(self, name):
        return str(self.app.screen_stack[0].query_one(f"#{name}", Static).content)

    def rows(self, name, screen=0):
        table = self.app.screen_stack[screen].query_one(f"#{name}", DataTable)
        return [[str(cell).strip() for cell in table.get_row_at(i)] for i in range(table.row_count)]

    def said(self):
        return [note.message for note in self.app._notifications]


def drive(play, source, *, size=(80, 24), **options):
    """Run ``play(screen)`` in the application over a source."""

    async def run():
        options.setdefault("analyse", leaks)
        app = WatchApp(source, interval_seconds=None, **options)
        async with app.run_test(size=size, notifications=True) as pilot:
            screen = Screen(app, pilot)
            await screen.tick()
            await play(screen)
        return app

    return asyncio.run(run())


def test_readings_trend_and_suspects_are_shown():
    async def play(screen):
        assert screen.text("title") == "memlens [live]  process 42: serve.py [--fast]"
        assert screen.text("memory").startswith("RSS 119 MiB (+19.0 MiB in 19.0 s), limit 512 MiB")
        assert screen.text("trend").startswith(
            "trend: rising, +60.0 MiB a minute, at this rate 6 min"
        )
        assert screen.text("verdict").startswith("Leak, confidence ")
        ((growth, rate, elements, holder),) = screen.rows("suspects")
        assert (elements, holder) == ("+20", "app.sessions  unbounded-cache")
        assert growth.startswith("+3.")
        assert rate.endswith("KiB")

    drive(play, FakeSource(rising(files=FILES)))


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
def test_screen_fits_the_terminal_and_shows_its_keys(size):
    async def play(screen):
        await screen.press("enter")
        await screen.press("escape")
        svg = screen.app.export_screenshot()
        assert "memlens" in svg
        for widget in screen.app.screen.query("*"):
            if size[0] < 80 and type(widget).__name__ == "FooterKey":
                continue  # the line of keys is scrolled where it is too long
            assert widget.region.right <= size[0]
            assert widget.region.bottom <= size[1]

    drive(play, FakeSource(rising(files=FILES)), size=size, look_into=lambda *_: Detail())


def test_narrow_terminal_keeps_units_and_the_key_to_quit():
    async def play(screen):
        assert screen.text("memory").endswith("limit 512 MiB (23 % used)")
        assert screen.text("trend").endswith("to the limit")
        for name in ("memory", "trend"):
            assert len(screen.text(name)) <= 60
        (key,) = [k for k in screen.app.screen.query("FooterKey") if k.key == "q"]
        assert key.description == "Quit"
        assert 0 <= key.region.x < key.region.right <= 60

    drive(play, FakeSource(rising(files=FILES)), size=(60, 24))


def test_growth_by_site_is_marked_as_an_estimate():
    path = (Frame("open_session", "/app/sessions.py", 7),)

    def analyse(files):
        report = find_leaks(planted(len(files)))
        sites = (SiteShare(path, 30.0, 4096.0, 5),)
        return Answer(replace(report, suspects=(replace(report[0], sites=sites),)))

    async def play(screen):
        assert screen.rows("sites") == [["~+4.00 KiB", "open_session (app/sessions.py:7)"]]

    drive(play, FakeSource(rising(files=FILES)), analyse=analyse)


def test_real_files_are_analysed_in_other_processes(tmp_path):
    """The whole way: files, analysis, drilling. And a folder that grows while it is watched."""
    snapshots = planted(5)
    save(tmp_path / "out", snapshots[:3])

    async def play(screen):
        assert "(3 snapshots over 2 h)" in screen.text("verdict")
        save(tmp_path / "out", snapshots, first=3)
        await screen.tick()
        assert "(5 snapshots over 4 h)" in screen.text("verdict")
        await screen.press("enter")
        assert isinstance(screen.app.screen, DrillScreen)
        objects = screen.rows("objects", screen=1)
        assert len(objects) == 20
        assert "app.Session" in objects[0][1]
        text = str(screen.app.screen.query_one("#text Static", Static).content)
        assert "app   (module)" in text
        assert "what to do:" in text

    drive(play, FilesSource([str(tmp_path / "out")]), analyse=None)


def test_drilling_shows_why_there_are_no_details():
    asked = []

    def look_into(path, suspect):
        asked.append((path, suspect.holder))
        return Detail(failure="cannot read 'c'")

    async def play(screen):
        await screen.press("enter")
        assert str(screen.app.screen.query_one("#status", Static).content) == "cannot read 'c'"
        await screen.press("s", "w", "slash")  # keys of the main screen do nothing here
        assert screen.said() == []
        await screen.press("escape")
        assert len(screen.app.screen_stack) == 1

    source = FakeSource(rising(files=FILES))
    drive(play, source, look_into=look_into)
    assert asked == [("c", "app.sessions")]
    assert source.requested == 0


def test_pause_stops_the_polls_and_continues():
    source = FakeSource(rising(), rising())

    async def play(screen):
        await screen.press("p")
        await screen.tick()
        assert screen.text("title").startswith("memlens [paused]")
        assert source.polls == 1
        await screen.press("p")
        assert screen.text("title").startswith("memlens [live]")
        assert source.polls == 2

    drive(play, source)


def test_search_narrows_the_suspects_until_it_is_cleared():
    async def play(screen):
        await screen.press("slash", *"nothing", "enter")
        assert screen.rows("suspects") == []
        assert screen.text("note") == "search: nothing (Esc clears)"
        await screen.press("enter")
        assert len(screen.app.screen_stack) == 1, "there is no suspect to drill into"
        await screen.press("escape")
        assert len(screen.rows("suspects")) == 1
        await screen.press("slash", *"SESS", "enter", "enter")
        assert isinstance(screen.app.screen, DrillScreen)

    drive(play, FakeSource(rising(files=FILES)), look_into=lambda *_: Detail())


def test_letters_of_a_search_are_no_commands():
    async def play(screen):
        await screen.press("slash", *"spwoq")
        assert screen.app.query_one("#search").value == "spwoq"
        assert screen.app.is_running

    source = FakeSource(rising())
    drive(play, source)
    assert source.requested == 0


def test_snapshot_is_requested_or_refused_with_the_reason():
    source = FakeSource(rising())

    async def play(screen):
        await screen.press("s")
        source.refuses = OptionError("files cannot take a snapshot [see help]")
        await screen.press("s")
        assert screen.said() == ["snapshot requested", "files cannot take a snapshot [see help]"]

    drive(play, source)
    assert source.requested == 1


def test_report_is_written_as_text_and_json(tmp_path, monkeypatch):
    monkeypatch.setattr(report_files, "has_html", lambda: False)

    async def play(screen):
        await screen.press("w")
        assert screen.said()[0].startswith("written: ")

    app = drive(play, FakeSource(rising(files=FILES)), report_dir=str(tmp_path / "new"))
    (text,) = (tmp_path / "new").glob("memlens-*.txt")
    assert app.written == [str(text), str(text.with_suffix(".json"))]
    assert "app.sessions grows" in text.read_text()
    report = json.loads(text.with_suffix(".json").read_text())
    assert report["suspects"][0]["holder"] == "app.sessions"


def test_html_that_cannot_be_written_leaves_text_and_json(tmp_path, monkeypatch):
    monkeypatch.setattr(report_files, "has_html", lambda: True)

    async def play(screen):
        await screen.press("w")
        assert screen.said()[0].startswith("text and JSON are written, HTML is not: ")

    source = FakeSource(rising(files=FILES))  # files that do not exist
    drive(play, source, report_dir=str(tmp_path))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".txt"]


def test_report_before_an_analysis_and_into_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    async def play(screen):
        await screen.press("w")
        await screen.tick()
        await screen.press("w")
        first, second = screen.said()
        assert first.startswith("there is nothing to report yet")
        assert "cannot create the folder" in second

    source = FakeSource(SourceState(), rising(files=FILES))
    drive(play, source, report_dir=str(tmp_path / "file" / "x"))


def test_source_that_fails_is_shown_and_asked_again():
    source = FakeSource(rising())

    async def play(screen):
        source.refuses = OutputError("cannot read the folder 'out': Permission denied")
        await screen.tick()
        assert screen.text("note") == "cannot read the folder 'out': Permission denied"
        source.refuses = None
        await screen.tick()
        assert screen.text("note") == ""

    drive(play, source)


def test_failed_analysis_says_why():
    async def play(screen):
        assert screen.text("verdict") == "not analysed: it needed more than 8 MiB of memory"
        assert screen.rows("suspects") == []

    source = FakeSource(rising(files=FILES))
    drive(play, source, analyse=lambda files: Answer(None, "it needed more than 8 MiB of memory"))


def test_screen_answers_while_an_analysis_runs():
    """The analysis lasts until the test ends it; keys and polls go on meanwhile."""
    may_end = threading.Event()

    def analyse(files):
        may_end.wait(60)
        return leaks(files)

    async def play(screen):
        await screen.pilot.press("question_mark")
        await screen.pilot.pause()
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.pilot.press("escape")
        assert screen.text("verdict") == "analysing 3 snapshots ..."
        may_end.set()
        await screen.settle()
        assert screen.text("verdict").startswith("Leak")

    async def run():
        app = WatchApp(FakeSource(rising(files=FILES)), interval_seconds=None, analyse=analyse)
        async with app.run_test(size=(80, 24)) as pilot:
            app.tick()
            while not app._is_analysing:
                await pilot.pause()
            try:
                await play(Screen(app, pilot))
            finally:
                may_end.set()

    asyncio.run(run())


def test_polls_do_not_pile_up_behind_a_slow_source():
    may_end = threading.Event()
    source = FakeSource(rising())
    poll = source.poll

    def slow():
        may_end.wait(60)
        return poll()

    source.poll = slow

    async def run():
        app = WatchApp(source, interval_seconds=None)
        async with app.run_test(size=(80, 24)) as pilot:
            for _ in range(5):
                app.tick()
                await pilot.pause()
            may_end.set()
            await Screen(app, pilot).settle()
            assert source.polls == 1

    asyncio.run(run())


def test_output_of_the_program_is_shown_without_its_control_characters():
    source = FakeSource(rising())

    async def play(screen):
        await screen.press("o")
        assert screen.said() == ["the output of this program is not known"]
        source.output = "one\n\x1b[31mtwo [/b]\n"
        await screen.press("o")
        assert isinstance(screen.app.screen, OutputScreen)
        text = str(screen.app.screen.query_one(Static).content)
        assert text == "one\n\\x1b[31mtwo [/b]"
        await screen.press("escape")

    drive(play, source)


@pytest.mark.parametrize(("key", "ended_by"), [("q", None), ("ctrl+c", 2)])
def test_keys_end_the_screen(key, ended_by):
    async def play(screen):
        await screen.pilot.press(key)
        await screen.pilot.pause()

    app = drive(play, FakeSource(rising()))
    assert app.ended_by == ended_by
    assert not app.is_running


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def play(screen):
        assert screen.app.no_color

    drive(play, FakeSource(rising()))
