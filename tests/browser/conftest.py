"""A headless Chromium that opens reports from files."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memlens.report.html.page import Page, installed_page

WAIT_SECONDS = 20  # the most that a test waits for what it expects
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Keys:
    """The keys of the WebDriver standard, for modules that are read without Selenium."""

    TAB = "\ue004"
    ENTER = "\ue007"
    ESCAPE = "\ue00c"
    HOME = "\ue011"
    ARROW_LEFT = "\ue012"
    ARROW_UP = "\ue013"
    ARROW_RIGHT = "\ue014"
    ARROW_DOWN = "\ue015"


def write_report(document: dict[str, Any], path: Path) -> Path:
    """Write a report with a data document, and return where it is."""
    data = json.dumps(document).replace("<", "\\u003c")
    path.write_bytes(Page.load(installed_page()).html(data))
    return path


class Browser:
    """Opens reports in Chromium and asks the page about itself."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
        for argument in (*CHROMIUM_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        # Tab can leave the page for the window's own controls; the next page has the focus again.
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)
        self.folder = Path(tempfile.mkdtemp(dir=profile))
        self.pages = 0

    def open(
        self, document: dict[str, Any], link: str = "", *, width: int = 1280, dark: bool = False
    ) -> None:
        """Write a report and open it at a link, in a window of a width and in a theme."""
        self.pages += 1
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", media="", features=scheme)
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        path = write_report(document, self.folder / f"report-{self.pages}.html")
        self.logs("browser"), self.logs("performance")
        self.driver.get(path.as_uri() + link)
        self.until("return performance.getEntriesByName('memlens-ready').length === 1")

    def command(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: Any) -> Any:
        """Wait until a script returns something true, and return that."""
        from selenium.webdriver.support.wait import WebDriverWait

        wait = WebDriverWait(self.driver, WAIT_SECONDS, poll_frequency=0.05)
        return wait.until(lambda _: self.run(script, *arguments), f"never true: {script}")

    def logs(self, kind: str) -> list[dict[str, Any]]:
        """Return what was logged since the last call."""
        return self.driver.get_log(kind)

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def link(self) -> str:
        """Return the hash of the address."""
        return self.run("return location.hash")

    def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse."""
        self._element(selector).click()

    def type(self, selector: str, text: str) -> None:
        """Replace the text of a field."""
        field = self._element(selector)
        field.clear()
        field.send_keys(text)

    def click_at(self, selector: str, x: float, y: float) -> None:
        """Click into an element, at pixels from its top left corner."""
        place = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
            "const r = e.getBoundingClientRect(); return [r.left, r.top]",
            selector,
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            event = {"type": kind, "x": place[0] + x, "y": place[1] + y, **button}
            self.command("Input.dispatchMouseEvent", **event)

    def press(self, *keys: str) -> None:
        """Press keys at what has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def focus(self, selector: str) -> None:
        """Give the focus to an element."""
        self.run("document.querySelector(arguments[0]).focus()", selector)

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self.driver.print_page())

    def _element(self, selector: str) -> Any:
        from selenium.webdriver.common.by import By

        return self.driver.find_element(By.CSS_SELECTOR, selector)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start one Chromium for all tests."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Open reports, and check after the test that nothing was logged as an error."""
    yield chromium
    assert [entry["message"] for entry in chromium.logs("browser")] == []
