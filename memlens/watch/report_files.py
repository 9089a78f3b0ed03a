"""The reports that the screen writes: text, JSON, and HTML where the command for it exists."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from memlens._atomic import make_folder, write_whole
from memlens.errors import OutputError
from memlens.leaks.leak_report import LeakReport

__all__ = ("has_html", "write_report")

_MAX_SECONDS = 300.0


def write_report(
    report: LeakReport, files: Sequence[str], folder: str, now: float | None = None
) -> list[str]:
    """Write a report of an analysis of snapshot files; return the paths of what was written.

    Raises ``OutputError`` if the folder or a file cannot be written.
    """
    make_folder(folder)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    base = os.path.join(folder, f"memlens-{report.pid}-{stamp}")
    write_whole(f"{base}.txt", f"{report}\n".encode())
    write_whole(f"{base}.json", json.dumps(report.to_dict(), indent=1).encode())
    written = [f"{base}.txt", f"{base}.json"]
    if has_html():
        written.append(_write_html(files, f"{base}.html"))
    return written


def has_html() -> bool:
    """Tell whether this memlens can write reports as HTML."""
    return importlib.util.find_spec("memlens.report.html") is not None


def _write_html(files: Sequence[str], path: str) -> str:
    """Write the HTML report in a process of its own: it reads the snapshots once more."""
    command = [sys.executable, "-m", "memlens", "html", *files, "-o", path]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_MAX_SECONDS,
            start_new_session=True,  # Ctrl-C is for the screen
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"text and JSON are written, HTML is not: {error}") from error
    if done.returncode:
        raise OutputError(f"text and JSON are written, HTML is not: {done.stderr.strip()[-300:]}")
    return path
