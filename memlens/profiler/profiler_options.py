"""Options of a profiler that belong together, checked."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any, Self

from memlens._options import check_path, check_seconds, check_text, shown
from memlens.errors import OptionError

__all__ = ("TableOptions",)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Where a profiler writes tables, and how often.

    ``folder``: absolute. ``service`` and ``release``: None takes them from the environment of the
    process, see `memlens.process.service`. ``interval``: seconds between two writings.
    """

    folder: str
    service: str | None = None
    release: str | None = None
    interval: float = 3600.0

    @classmethod
    def of(cls, table_dir: Any, service: Any, release: Any, interval: Any) -> Self | None:
        """Return the options of `MemoryProfiler`, None without a ``table_dir``.

        Raises ``OptionError`` for a wrong one, and where pyarrow is not installed: the profiler does
        not import it, but the process that writes does.
        """
        checked_service = _name("service", service)
        checked_release = _name("release", release)
        seconds = check_seconds("table_interval", interval, allow_infinity=True)
        if table_dir is None:
            return None
        folder = check_path("table_dir", table_dir)
        if "://" in folder:
            raise OptionError(
                f"table_dir must be a local folder; got {shown(folder)}: copy the tables from there"
            )
        if not _is_installed("pyarrow"):
            raise OptionError("table_dir needs pyarrow: pip install 'memlens[arrow]'")
        # Absolute, because the program may change its working directory.
        return cls(os.path.abspath(folder), checked_service, checked_release, seconds)


def _name(option: str, value: Any) -> str | None:
    if value is None:
        return None
    text = check_text(option, value).strip()
    if not text:
        raise OptionError(
            f"{option} must not be empty: leave it out to take it from the environment"
        )
    return text


def _is_installed(module: str) -> bool:
    """Tell whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # something that is no module has its name
        return False
