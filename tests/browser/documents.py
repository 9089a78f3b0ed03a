"""Data documents of HTML reports, made up: small ones with all parts, hostile ones, large ones."""

from __future__ import annotations

import random
from typing import Any

HOSTILE = '<img src=x onerror="document.title=1">\u2028"\'</script>&lt;'
_MIB = 1 << 20


def document(**parts: Any) -> dict[str, Any]:
    """Return a document that has the given parts only."""
    empty: dict[str, Any] = {
        "format": 1,
        "memlens": "0.0",
        "title": "Memory report: shop.py, process 4711",
        "made_at": 1_790_000_000.0,
        "process": {
            "pid": 4711,
            "command": "python shop.py",
            "python": "3.11.7",
            "platform": "Linux",
            "seconds": 3600.0,
        },
        "verdict": {"state": "none", "confidence": None, "sentence": "", "details": []},
        "timeline": None,
        "suspects": [],
        "flames": [],
        "treemap": None,
        "tables": [],
        "lines": [],
        "breakdown": None,
        "health": [],
        "missing": ["Breakdown: it was not taken."],
        "glossary": {"retained": "Bytes that would become free."},
    }
    return empty | parts


def full(name: str = "shop.store._sessions") -> dict[str, Any]:
    """Return a document with every part. ``name`` stands for all names of the user's program."""
    return document(
        verdict={
            "state": "leak",
            "confidence": "high",
            "sentence": f"Leak: {name} grows by 12.0 MiB an hour.",
            "details": [f"Details of {name}", "two", "three", "four"],
        },
        timeline=timeline(name),
        suspects=[suspect(name, "leak-1"), suspect(f"{name}2", "leak-2")],
        flames=[flame(name)],
        treemap=treemap(name),
        tables=[table(name)],
        lines=[{"file": name, "first_line": 1, "rows": [[1, 10, 2000, name], [5, None, 7, None]]}],
        breakdown={
            "rss_bytes": 100 * _MIB,
            "parts": [
                {"label": name, "bytes": 60 * _MIB, "help": name,
                 "parts": [{"label": "inner", "bytes": _MIB, "help": "a part"}]},
                {"label": "other", "bytes": 30 * _MIB, "help": "the rest"},
            ],
        },
        health=[
            {"label": "Sampler", "value": name, "state": "ok", "help": name},
            {"label": "Worker", "value": "late", "state": "warning", "help": "It was late."},
        ],
        missing=[name],
        glossary={"retained": name},
    )  # fmt: skip


def timeline(name: str = "startup") -> dict[str, Any]:
    """Return a timeline of an hour with a limit, a sparse series and marks of all kinds."""
    seconds = [10 * i for i in range(360)]
    return {
        "start": 1_790_000_000.0,
        "seconds": seconds,
        "series": [
            {"key": "rss", "label": "Resident memory", "help": name,
             "bytes": [(100 + i // 3) * _MIB for i in range(360)]},
            {"key": "heap", "label": "Python objects", "help": name,
             "bytes": [50 * _MIB + i * _MIB // 4 if i % 60 == 0 else None for i in range(360)]},
        ],
        "limit_bytes": 256 * _MIB,
        "limit_source": name,
        "marks": [
            {"seconds": 10.0 + 300 * i, "kind": kind, "label": name}
            for i, kind in enumerate(("snapshot", "alert", "deploy", "collection"))
        ],
    }  # fmt: skip


def suspect(name: str, fingerprint: str) -> dict[str, Any]:
    """Return a suspect with a path, sites and source."""
    frames = [
        {"function": name, "file": f"/srv/{name}.py", "line": 12},
        {"function": "handle", "file": "/srv/app.py", "line": 40},
    ]
    return {
        "id": fingerprint,
        "holder": name,
        "holder_type": "dict",
        "growth_bytes": 12 * _MIB,
        "growth_elements": 1200,
        "retained_bytes": 20 * _MIB,
        "bytes_per_hour": 12.0 * _MIB,
        "native": [{"text": "+30.0 MiB native", "bytes": 30 * _MIB}],
        "gains": [name, "str"],
        "path": [
            {"text": "shop", "kind": "root", "type": "module", "suspect": False},
            {"text": name, "kind": "holder", "type": "dict", "suspect": True},
            {"text": "['...']", "kind": "element", "type": name, "suspect": False},
        ],
        "sites": [{"share": 0.93, "bytes": 11 * _MIB, "frames": frames}],
        "source": [
            {"file": "/srv/store.py", "line": 12, "first_line": 11,
             "lines": ["def add(self):", f"    self.items.append({name!r})"], "function": "add",
             "shows": "allocates"}
        ],
        "pattern": "unbounded-cache",
        "evidence": name,
        "advice": f"Bound {name}.",
        "origin": "the program",
        "status": "new",
        "since": "since 14:03:20 (first snapshot)",
    }  # fmt: skip


def flame(name: str = "parse_json") -> dict[str, Any]:
    """Return a flame graph: main calls a function twice as much as another one."""
    return {
        "key": "live",
        "label": "Memory by call path",
        "unit": "bytes",
        "measures": [
            {"key": "live_bytes", "label": "Live bytes", "unit": "bytes"},
            {"key": "allocated_count", "label": "Allocated blocks", "unit": "count"},
        ],
        "names": ["<root>", "main", name, "render"],
        "files": ["", "/srv/shop.py", "/usr/lib/python3.11/site-packages/lib/json.py"],
        "parent": [-1, 0, 1, 1, 2],
        "name": [0, 1, 2, 3, 2],
        "file": [0, 1, 2, 1, 2],
        "line": [0, 3, 10, 20, 11],
        "values": {
            "live_bytes": [30 * _MIB, 30 * _MIB, 20 * _MIB, 10 * _MIB, 5 * _MIB],
            "allocated_count": [90, 90, 10, 80, 5],
        },
        "omitted": {"nodes": 3, "text": f"{name}: 3 paths are left out"},
    }


def treemap(name: str = "shop.store") -> dict[str, Any]:
    """Return a treemap: a holder with two boxes inside, and a rest."""
    return {
        "total_bytes": 30 * _MIB,
        "shown_bytes": 30 * _MIB,
        "names": ["process 4711", name, "[0]  dict", "[1]  str", "12 more objects"],
        "types": ["", "dict", "str"],
        "parent": [-1, 0, 1, 1, 0],
        "name": [0, 1, 2, 3, 4],
        "type": [0, 1, 1, 2, 0],
        "count": [1, 1, 1, 1, 12],
        "retained": [30 * _MIB, 20 * _MIB, 12 * _MIB, 7 * _MIB, 10 * _MIB],
        "shallow": [0, _MIB, 12 * _MIB, 7 * _MIB, _MIB],
        "native": [5 * _MIB, 5 * _MIB, 0, 0, 0],
        "path": [-1, 1, -1, -1, -1],
        "omitted": {"text": f"{name}: the smallest are in one box"},
    }


def table(name: str = "shop.Session") -> dict[str, Any]:
    """Return a table of 40 types; the one with the most bytes has the fewest objects."""
    rows: list[list[Any]] = [[f"type{i:02}", i + 1, (40 - i) * _MIB] for i in range(39)]
    return {
        "key": "types",
        "label": "Types",
        "help": f"The objects by type: {name}",
        "columns": [
            {"key": "type", "label": "Type", "unit": "text", "help": "The type."},
            {"key": "count", "label": "Count", "unit": "count", "help": "How many there are."},
            {"key": "retained", "label": "Retained", "unit": "bytes", "help": "What they hold."},
        ],
        "rows": [*rows, [name, None, 0]],
        "omitted": {"rows": 3, "text": f"3 more types than {name}"},
    }


def large(nodes: int = 20_000) -> dict[str, Any]:
    """Return a document whose pictures and tables are as large as a report allows."""
    random_numbers = random.Random(7)
    parent = [-1] + [random_numbers.randrange(max(0, i // 8 - 40), i) for i in range(1, nodes)]
    values = [random_numbers.randrange(100, 100_000) for _ in range(nodes)]
    for node in range(nodes - 1, 0, -1):
        values[parent[node]] += values[node]
    names = [f"package.module{i % 97}.function_{i}" for i in range(3000)]
    numbers = [i % 3000 for i in range(nodes)]
    picture = flame() | {
        "names": names,
        "parent": parent,
        "name": numbers,
        "file": [i % 3 for i in range(nodes)],
        "line": [i % 500 for i in range(nodes)],
        "values": {"live_bytes": values, "allocated_count": [v // 64 for v in values]},
    }
    objects = treemap() | {
        "total_bytes": values[0],
        "shown_bytes": values[0],
        "names": names,
        "types": ["dict", "str", "shop.Session", "module"],
        "parent": parent,
        "name": numbers,
        "type": [i % 4 for i in range(nodes)],
        "count": [1] * nodes,
        "retained": values,
        "shallow": [64] * nodes,
        "native": [0] * nodes,
        "path": None,
    }
    rows = [[name, i, i * 1000] for i, name in enumerate(names[:1000])]
    tables = [table() | {"key": f"table{i}", "rows": rows} for i in range(10)]
    return full() | {"flames": [picture], "treemap": objects, "tables": tables}
