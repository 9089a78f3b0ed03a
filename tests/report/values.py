"""Values for reports: suspects, leak reports, detector reports, readings."""

from __future__ import annotations

from memlens._frame import Frame
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect
from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
from memlens.process.history import HistoryPoint

MIB, HOUR = 1 << 20, 3600.0


def suspect(holder="shop.store._sessions", **fields):
    path = RetentionPath("shop", "module", (hop(".store", "shop.Store"), hop("._sessions", "dict")))
    values = {
        "holder_type": "dict",
        "path": path,
        "growing_types": ("shop.Session", "str"),
        "count_growth": 1200,
        "retained_growth_bytes": 12 * MIB,
        "retained_bytes": 40 * MIB,
        "growth_bytes_per_hour": 12.0 * MIB,
        "pattern": "unbounded-cache",
        "evidence": "a mapping that only grows",
        "suggestion": "Bound it.",
        "fingerprint": "leak-0123456789",
    }
    return LeakSuspect(holder, **values | fields)


def hop(text, type_name="object", kind="attribute"):
    return Hop(text, kind, type_name, 1, 10, 20)


def site(file="/srv/shop/store.py", line=12, size=100.0):
    path = (Frame("main", "/srv/shop/main.py", 3), Frame("add", file, line))
    return SiteShare(path, 3.0, size, 2)


def leaks(*suspects, **fields):
    values = {
        "pid": 4711,
        "snapshot_count": 6,
        "seconds": HOUR,
        "heap_growth_bytes": 13 * MIB,
        "suspects": tuple(suspects),
        "growing_types": (),
    }
    return LeakReport(**values | fields)


def detector(state="leak", series="rss", slope=20.0 * MIB, interval=(10.0 * MIB, 30.0 * MIB)):
    verdict = Verdict(state, slope, interval, 0.0, 50.0 * MIB, 0.999)
    return DetectorReport(series, verdict, 100, 0, 0, 0, 7200.0, 0.0, 0.0, 1, 0)


def alert(**fields):
    values = {
        "series": "rss",
        "time": 7200.0,
        "since": 0.0,
        "level_bytes": 100.0 * MIB,
        "growth_bytes": 40.0 * MIB,
        "slope_bytes_per_hour": 20.0 * MIB,
        "interval_bytes_per_hour": (10.0 * MIB, 30.0 * MIB),
        "confidence": 0.999,
        "steepening": False,
        "kind": "native",
    }
    return LeakAlert(**values | fields)


def point(second, rss=100 * MIB, malloc=None, *, collections=0, limit=512 * MIB):
    source = "cgroup-v2" if limit else "unknown"
    return HistoryPoint(5000.0 + second, float(second), rss, malloc, limit, source, 7, collections)
