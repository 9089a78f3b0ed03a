"""Triggers: events at which a `MemoryProfiler` takes a snapshot or hands out its files.

::

    from memlens import MemoryProfiler, triggers

    MemoryProfiler(
        "profiles",
        triggers=[triggers.before_limit(0.1), triggers.on_memory_error(), triggers.on_alert()],
        on_file=upload,
    )

Every name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.triggers.alerts import on_alert
    from memlens.triggers.exits import at_exit
    from memlens.triggers.limits import before_limit
    from memlens.triggers.memory_errors import notice_memory_errors, on_memory_error
    from memlens.triggers.protocol import CaptureGuard, Host, Trigger, TriggeredFile
    from memlens.triggers.schedules import every
    from memlens.triggers.signals import on_signal

__all__ = (
    "CaptureGuard",
    "Host",
    "Trigger",
    "TriggeredFile",
    "at_exit",
    "before_limit",
    "every",
    "notice_memory_errors",
    "on_alert",
    "on_memory_error",
    "on_signal",
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens.triggers.alerts": ("on_alert",),
        "memlens.triggers.exits": ("at_exit",),
        "memlens.triggers.limits": ("before_limit",),
        "memlens.triggers.memory_errors": ("notice_memory_errors", "on_memory_error"),
        "memlens.triggers.protocol": ("CaptureGuard", "Host", "Trigger", "TriggeredFile"),
        "memlens.triggers.schedules": ("every",),
        "memlens.triggers.signals": ("on_signal",),
    },
)
