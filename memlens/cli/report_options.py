"""ReportOptions: what the user wants to have at the end of ``run``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

__all__ = ("ReportOptions",)


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the user wants to have at the end; None or False for what is not wanted.

    ``output_dir`` keeps snapshots and reports; ``show_allocations`` reports and keeps the allocation
    profile; ``save_baseline`` is the file for the suspects as a baseline; ``html_path`` that of the
    report with pictures, with lines of source if ``show_source``. ``follow_children``: report each
    Python that the program starts.
    """

    output_dir: str | None = None
    as_json: bool = False
    show_allocations: bool = False
    save_baseline: str | None = None
    html_path: str | None = None
    show_source: bool = False
    follow_children: bool = False

    def absolute(self) -> ReportOptions:
        """Return the options with absolute paths: the program may change its working directory."""
        return replace(
            self,
            output_dir=_absolute(self.output_dir),
            save_baseline=_absolute(self.save_baseline),
            html_path=_absolute(self.html_path),
        )


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(path) if path else None
