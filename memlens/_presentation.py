"""The way up from a value to its presentation: `write_html`, for methods such as ``to_html``.

Snapshots, profiles and leak reports lie below the reports that present them, and import nothing of
them. The module is found by name when the method is called.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ("write_fleet_html", "write_html")


def write_html(path: str | os.PathLike[str], **values: Any) -> int:
    """Write an HTML report of some values to a file; return its size in bytes.

    ``values`` are named as for `memlens.report.html.html_report.HtmlReport`.
    """
    report = importlib.import_module("memlens.report.html.html_report")
    size_bytes: int = report.write_value(path, **values)
    return size_bytes


def write_fleet_html(path: str | os.PathLike[str], **values: Any) -> int:
    """Write the HTML report of a fleet to a file; return its size in bytes.

    ``values`` are named as for `memlens.report.html.fleet_page.fleet_document`.
    """
    page = importlib.import_module("memlens.report.html.fleet_page")
    size_bytes: int = page.write_fleet(path, **values)
    return size_bytes
