"""Leaks: what grows, who holds it, which pattern it is, and what to do.

::

    from memlens.leaks import find_leaks

    print(find_leaks(snapshots))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.leaks.baselines import Baseline, KnownSuspect
    from memlens.leaks.leak_report import LeakReport, find_leaks
    from memlens.leaks.native_growth import NativeGrowth
    from memlens.leaks.origins import Origin
    from memlens.leaks.scope_report import ScopeReport, ScopeSurvivors
    from memlens.leaks.scopes import Scope, scope
    from memlens.leaks.stated_bounds import BoundedHolder
    from memlens.leaks.suspects import LeakSuspect

__all__ = (
    "Baseline",
    "BoundedHolder",
    "KnownSuspect",
    "LeakReport",
    "LeakSuspect",
    "NativeGrowth",
    "Origin",
    "Scope",
    "ScopeReport",
    "ScopeSurvivors",
    "find_leaks",
    "scope",
)

_HOMES = {
    "memlens.leaks.baselines": ("Baseline", "KnownSuspect"),
    "memlens.leaks.leak_report": ("LeakReport", "find_leaks"),
    "memlens.leaks.native_growth": ("NativeGrowth",),
    "memlens.leaks.origins": ("Origin",),
    "memlens.leaks.scopes": ("Scope", "scope"),
    "memlens.leaks.scope_report": ("ScopeReport", "ScopeSurvivors"),
    "memlens.leaks.stated_bounds": ("BoundedHolder",),
    "memlens.leaks.suspects": ("LeakSuspect",),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
