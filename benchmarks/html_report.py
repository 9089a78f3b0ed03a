"""How long the largest HTML report takes until it can be used, in headless Chromium.

    python benchmarks/html_report.py [--nodes N] [--repeat N] [FILE...]

Needs the extra ``memlens[browser]``, Chromium and chromedriver. For the report with 20,000 boxes in
its flame graph and in its treemap and ten tables of 1,000 rows, for an empty one, and for each FILE
that is given: its size, the time from the start of the navigation until all views are there and react
(``ready``), and the time from a key that zooms into a picture until it is drawn again. Times are the
medians of some runs, each in a new tab.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.browser.conftest import Browser, write_report
from tests.browser.documents import document, large

READY = "const [m] = performance.getEntriesByName('memlens-ready'); return m && m.startTime"
REDRAW = """
const done = arguments[arguments.length - 1];
const [view, key] = arguments;
const frame = document.querySelector(`#${view} .picture`);
if (!frame) { done(null); return; }
frame.focus();
const start = performance.now();
for (const one of [key, 'Enter']) {
  frame.dispatchEvent(new KeyboardEvent('keydown', {key: one, bubbles: true, cancelable: true}));
}
requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
"""


def measure(browser: Browser, path: Path) -> dict[str, float]:
    """Return the times of one report in milliseconds."""
    browser.driver.switch_to.new_window("tab")
    browser.driver.get(path.as_uri())
    times = {"ready": browser.until(READY)}
    for view, key in (("flame", "ArrowDown"), ("treemap", "ArrowRight")):
        redraw = browser.driver.execute_async_script(REDRAW, view, key)
        if redraw is not None:
            times[f"zoom {view}"] = redraw
    errors = browser.logs("browser")
    if errors:
        raise SystemExit(f"{path.name}: {errors[0]['message']}")
    browser.driver.close()
    browser.driver.switch_to.window(browser.driver.window_handles[0])
    return times


def main() -> None:
    """Print a row for each report."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, dict[str, Any]] = {"empty": document(), "large": large(options.nodes)}
        reports = [write_report(data, Path(folder) / f"{name}.html") for name, data in made.items()]
        browser = Browser(Path(folder))
        try:
            for path in [*reports, *(file.resolve() for file in options.files)]:
                runs = [measure(browser, path) for _ in range(options.repeat)]
                medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
                shown = "  ".join(f"{key} {ms:6.0f} ms" for key, ms in medians.items())
                print(f"{path.name:32} {path.stat().st_size / 1000:8,.0f} kB  {shown}")
        finally:
            browser.driver.quit()


if __name__ == "__main__":
    main()
