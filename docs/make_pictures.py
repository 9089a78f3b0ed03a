"""Make the pictures of the documentation again, with the tools that they show.

    python docs/make_pictures.py [--only NAME ...] [--keep DIR]

Runs a small service with a leak (`docs/example_service.py`), opens its report in headless Chromium,
watches its snapshots in the terminal's live screen, runs a notebook, and writes the pictures to
docs/pictures. Needs the extra ``memlens[pictures]``, chromium and chromedriver. ``--keep`` names a
folder for what the service writes; it is used again if it exists, so that a picture can be made alone.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

PICTURES = DOCS / "pictures"
SERVICE = "example_service.py"
WIDTH, HEIGHT = 1200, 800  # of the browser's window, in pixels
MAX_BYTES = 80_000
COLOURS = 128
WAIT_SECONDS = 60  # the most that a picture waits for what it shows
COLUMNS, ROWS, DETAIL_ROWS = 100, 20, 34  # of the terminal
CHROMIUM_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Shot(NamedTuple):
    """A picture of the report: the element, the link that opens the view, and the theme.

    ``end``: the element below which the picture ends. ``max_height`` is in pixels.
    """

    selector: str
    link: str = ""
    is_dark: bool = False
    end: str = ""
    max_height: int = 1400


SHOTS = {
    "report.png": Shot("body", end="#verdict"),
    "report-dark.png": Shot("body", end="#timeline", is_dark=True),
    "suspect.png": Shot("#suspects", max_height=1206),
    "timeline.png": Shot("#timeline"),
    "flame-graph.png": Shot("#flame", "#flame"),
    "flame-graph-search.png": Shot("#flame", "#flame?search=shop.py", is_dark=True),
    "treemap.png": Shot("#treemap", "#treemap"),
    "tables.png": Shot("#table-comparison", "#table-comparison", max_height=560),
    "lines.png": Shot("#lines", "#lines?file={folder}/shop.py", max_height=900),
}
SCREENS = ("watch.svg", "watch-suspect.svg")
NAMES = (*SHOTS, *SCREENS, "terminal.svg", "notebook.png")


def needed(module: str) -> Any:
    """Import a module of the extra."""
    try:
        return import_module(module)
    except ImportError as error:
        from memlens.errors import MissingExtraError

        raise MissingExtraError(
            f"the pictures need {module.partition('.')[0]}: pip install -e '.[pictures]'"
        ) from error


# -- the program -----------------------------------------------------------------------------------


def observe_service(folder: Path) -> None:
    """Let the service run and write its snapshots and its report."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "report.html").exists():
        shutil.copy(DOCS / SERVICE, folder)
        shutil.copy(DOCS.parent / "memlens/demo/shop.py", folder)
        subprocess.run([sys.executable, SERVICE], cwd=folder, env=_environment(), check=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(DOCS.parent)}


# -- the browser -----------------------------------------------------------------------------------


class Browser:
    """Headless Chromium with a window of a fixed size."""

    def __init__(self, profile: str) -> None:
        webdriver = needed("selenium.webdriver")
        service = needed("selenium.webdriver.chrome.service").Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
        for argument in (*CHROMIUM_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = shutil.which("chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service(driver))
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, page: Path, shot: Shot) -> bytes:
        """Open a page and return an element of it as PNG."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if shot.is_dark else "light"}
        self._command("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.driver.get("about:blank")  # so that the same page is opened anew
        self.driver.get(page.as_uri() + shot.link)
        self._until(
            "return document.readyState === 'complete' && !document.getElementById('loading')"
        )
        clip = self._until(
            "const e = document.querySelector(arguments[0]); if (!e) return null;"
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {"
            "  const r = e.getBoundingClientRect();"
            "  const end = document.querySelector(arguments[1]).getBoundingClientRect();"
            "  const height = Math.min(r.bottom, end.bottom + 12) - r.top;"
            "  done({x: r.left + scrollX, y: r.top + scrollY, width: r.width, height});"
            "})))",
            shot.selector,
            shot.end or shot.selector,
        )
        clip = {**clip, "height": min(clip["height"], shot.max_height), "scale": 1}
        answer = self._command(
            "Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True
        )
        return base64.b64decode(answer["data"])

    def _command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def _until(self, script: str, *arguments: Any) -> Any:
        waiting = needed("selenium.webdriver.support.wait")
        wait = waiting.WebDriverWait(self.driver, WAIT_SECONDS)
        return wait.until(lambda driver: driver.execute_script(script, *arguments), script)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        opened = Browser(profile)
        try:
            yield opened
        finally:
            opened.driver.quit()


def small_png(data: bytes) -> bytes:
    """Return a PNG with few colours. Raises ``ValueError`` if it is too large nevertheless."""
    pillow = needed("PIL.Image")
    image = pillow.open(io.BytesIO(data)).convert("RGB")
    file = io.BytesIO()
    # Other methods replace the colours of small areas, such as those of a legend.
    image.quantize(COLOURS, pillow.Quantize.MAXCOVERAGE, dither=pillow.Dither.NONE).save(
        file, "PNG", optimize=True
    )
    if file.tell() > MAX_BYTES:
        raise ValueError(f"a picture of {file.tell():,} bytes: show a smaller part of the page")
    return file.getvalue()


def report_pictures(folder: Path, names: list[str]) -> None:
    """Show parts of the report."""
    with browser() as opened:
        for name in names:
            shot = SHOTS[name]
            shot = shot._replace(link=shot.link.format(folder=folder))
            shown = opened.picture(folder / "report.html", shot)
            (PICTURES / name).write_bytes(small_png(shown))


# -- the terminal ----------------------------------------------------------------------------------


def plain_svg(text: str) -> str:
    """Return an SVG of rich or textual without fonts from the network."""
    return re.sub(r"@font-face \{.*?\}\s*", "", text, flags=re.DOTALL)


def watch_pictures(folder: Path, names: list[str]) -> None:
    """Show the live screen over the snapshots, and what it shows of a suspect."""
    needed("textual")
    shown = asyncio.run(_screens([str(folder / "snapshots")]))
    for name in names:
        (PICTURES / name).write_text(plain_svg(shown[name]), encoding="utf-8")


async def _screens(paths: list[str]) -> dict[str, str]:
    from textual.widgets import Static

    from memlens.watch.app import WatchApp
    from memlens.watch.files_source import FilesSource

    app, shown = WatchApp(FilesSource(paths)), {}
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        await _wait_for(lambda: app.model.report is not None, pilot)
        shown["watch.svg"] = app.export_screenshot(title="python -m memlens watch snapshots")
        await pilot.resize_terminal(COLUMNS, DETAIL_ROWS)
        await pilot.press("enter")
        await _wait_for(
            lambda: "largest objects" in str(app.screen.query_one("#status", Static).render()),
            pilot,
        )
        shown["watch-suspect.svg"] = app.export_screenshot(title="Enter on a suspect")
    return shown


async def _wait_for(is_there: Callable[[], bool], pilot: Any) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_there():
            await pilot.pause(0.1)
    await pilot.pause()


def terminal_picture() -> None:
    """Show the output of the demo as a terminal shows it."""
    command = [sys.executable, "-m", "memlens", "demo"]
    environment = _environment() | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    console, text = needed("rich.console"), needed("rich.text")
    recorder = console.Console(record=True, width=COLUMNS, file=io.StringIO())
    recorder.print(text.Text.from_ansi(done.stdout))
    svg = recorder.export_svg(title="python -m memlens demo")
    (PICTURES / "terminal.svg").write_text(plain_svg(svg), encoding="utf-8")


# -- the notebook ----------------------------------------------------------------------------------


def notebook_picture(folder: Path) -> None:
    """Run a notebook, and show its cells with what they display."""
    page = folder / "notebook.html"
    for module in ("nbformat", "nbclient", "ipykernel"):
        needed(module)
    from example_notebook import notebook_page

    page.write_text(notebook_page(folder, _environment()), encoding="utf-8")
    with browser() as opened:
        shown = opened.picture(page, Shot("body", max_height=900))
    (PICTURES / "notebook.png").write_bytes(small_png(shown))


# -- all of them -----------------------------------------------------------------------------------


def make(names: list[str], folder: Path) -> None:
    """Make the named pictures."""
    PICTURES.mkdir(exist_ok=True)
    if any(name in SHOTS or name in SCREENS for name in names):
        observe_service(folder)
    if parts := [name for name in names if name in SHOTS]:
        report_pictures(folder, parts)
    if screens := [name for name in names if name in SCREENS]:
        watch_pictures(folder, screens)
    if "terminal.svg" in names:
        terminal_picture()
    if "notebook.png" in names:
        notebook_picture(folder)
    for name in names:
        print(f"docs/pictures/{name}: {(PICTURES / name).stat().st_size:,} bytes")


def main() -> None:
    """Make all pictures, or some of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="the folder of the service")
    parser.add_argument("--list", action="store_true", help="print the names of the pictures")
    options = parser.parse_args()
    if options.list:
        print(*NAMES, sep="\n")
        return
    if options.keep:
        make(options.only, options.keep.resolve())
        return
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        make(options.only, Path(folder).resolve())


if __name__ == "__main__":
    main()
