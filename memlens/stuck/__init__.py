"""Stuck tasks and threads: what waits for something that nothing can bring about any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.stuck.stuck_report import StuckReport, StuckTask, stuck_tasks

__all__ = ("StuckReport", "StuckTask", "stuck_tasks")

_HOMES = {"memlens.stuck.stuck_report": ("StuckReport", "StuckTask", "stuck_tasks")}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
