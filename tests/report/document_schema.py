"""The form of the data document of an HTML report: a strict check, with the rules between columns."""

from __future__ import annotations

import json
from itertools import pairwise

MAX_NODES, MAX_ROWS, MAX_POINTS, MAX_MARKS, MAX_SOURCE = 20_000, 1_000, 2_000, 500, 9
UNITS = {"text", "bytes", "count", "change_bytes", "change_count", "percent", "seconds"}
TABLES = {
    "comparison", "types", "modules", "sites", "devices", "duplicates", "waste", "drops", "largest",
    "lines",
}  # fmt: skip
KEYS = {
    "format", "memlens", "title", "made_at", "process", "verdict", "timeline", "suspects", "flames",
    "treemap", "tables", "lines", "breakdown", "health", "missing", "glossary",
}  # fmt: skip


def check(document):
    """Check a document; also that it is JSON without infinities."""
    json.dumps(document, allow_nan=False)
    _keys(document, KEYS)
    assert document["format"] == 1
    _texts(document, "memlens", "title")
    assert type(document["made_at"]) in (int, float)
    process = document["process"]
    _keys(process, {"pid", "command", "python", "platform", "seconds"})
    assert process["pid"] is None or type(process["pid"]) is int
    for name in ("command", "python", "platform"):
        assert process[name] is None or type(process[name]) is str
    _verdict(document["verdict"])
    if document["timeline"] is not None:
        _timeline(document["timeline"])
    _many(document["suspects"], _suspect)
    assert _unique(card["id"] for card in document["suspects"])
    _many(document["flames"], _flame)
    assert _unique(flame["key"] for flame in document["flames"])
    assert sum(len(flame["parent"]) for flame in document["flames"]) <= MAX_NODES
    if document["treemap"] is not None:
        _treemap(document["treemap"])
    _many(document["tables"], _table)
    assert _unique(table["key"] for table in document["tables"])
    _many(document["lines"], _lines)
    if document["breakdown"] is not None:
        _keys(document["breakdown"], {"rss_bytes", "parts"})
        _size(document["breakdown"]["rss_bytes"])
        _many(document["breakdown"]["parts"], _part)
    for row in document["health"]:
        _keys(row, {"label", "value", "state", "help"})
        _texts(row, *row)
        assert row["state"] in ("ok", "warning", "error")
    assert all(type(text) is str and text for text in document["missing"])
    assert all(type(text) is str and text for text in document["glossary"].values())


def _verdict(verdict):
    _keys(verdict, {"state", "confidence", "sentence", "details"})
    assert verdict["state"] in ("leak", "no leak", "unexplained growth", "unknown", "none")
    assert verdict["confidence"] in ("high", "medium", "low", None)
    _texts(verdict, "sentence")
    assert verdict["sentence"].endswith(".")
    assert verdict["sentence"].count("\n") == 0
    assert all(type(text) is str for text in verdict["details"])


def _timeline(timeline):
    _keys(timeline, {"start", "seconds", "series", "limit_bytes", "limit_source", "marks"})
    seconds = timeline["seconds"]
    assert 2 <= len(seconds) <= MAX_POINTS
    assert seconds[0] == 0
    assert all(one <= other for one, other in pairwise(seconds))
    for series in timeline["series"]:
        _keys(series, {"key", "label", "help", "bytes"})
        _texts(series, "key", "label", "help")
        assert len(series["bytes"]) == len(seconds)
        for value in series["bytes"]:
            assert value is None or _size(value) is None
    assert timeline["limit_bytes"] is None or _size(timeline["limit_bytes"]) is None
    assert len(timeline["marks"]) <= MAX_MARKS
    for mark in timeline["marks"]:
        _keys(mark, {"seconds", "kind", "label"})
        assert type(mark["seconds"]) is float
        assert mark["kind"] in ("snapshot", "alert", "collection", "deploy")
        _texts(mark, "label")


def _suspect(card):
    _keys(
        card,
        {
            "id", "holder", "holder_type", "growth_bytes", "growth_elements", "retained_bytes",
            "bytes_per_hour", "native", "gains", "path", "sites", "source", "pattern", "evidence",
            "advice", "origin", "status", "since",
        },
    )  # fmt: skip
    _texts(card, "id", "holder", "holder_type", "evidence", "advice", "origin")
    assert card["id"]
    assert card["status"] in ("new", "known", None)
    for native in card["native"]:
        _keys(native, {"text", "bytes"})
    assert all(type(name) is str for name in card["gains"])
    assert card["path"]
    for hop in card["path"]:
        _keys(hop, {"text", "kind", "type", "suspect"})
        assert hop["kind"] in ("root", "hop", "holder", "element")
        assert type(hop["suspect"]) is bool
    assert sum(hop["kind"] == "holder" for hop in card["path"]) == 1
    assert any(hop["suspect"] for hop in card["path"])
    for site in card["sites"]:
        _keys(site, {"share", "bytes", "frames"})
        assert 0 <= site["share"] <= 1
        for frame in site["frames"]:
            _keys(frame, {"function", "file", "line"})
            _texts(frame, "function", "file")
    for source in card["source"]:
        _keys(source, {"file", "line", "first_line", "lines", "function", "shows"})
        assert source["shows"] in ("keeps", "uses", "allocates")
        assert 1 <= len(source["lines"]) <= MAX_SOURCE
        assert 0 <= source["line"] - source["first_line"] < len(source["lines"])


def _flame(flame):
    _keys(
        flame,
        {
            "key", "label", "unit", "measures", "names", "files", "parent", "name", "file", "line",
            "values", "omitted",
        },
    )  # fmt: skip
    count = len(flame["parent"])
    assert 1 <= count <= MAX_NODES
    _tree(flame["parent"])
    for name in ("name", "file", "line"):
        assert len(flame[name]) == count
    _numbers(flame["name"], flame["names"])
    _numbers(flame["file"], flame["files"])
    assert [measure["key"] for measure in flame["measures"]] == list(flame["values"])
    for measure in flame["measures"]:
        _keys(measure, {"key", "label", "unit"})
        assert measure["unit"] in ("bytes", "count")
    for values in flame["values"].values():
        assert len(values) == count
        assert all(type(value) is int and value >= 0 for value in values)
        for node, rest in enumerate(_without_children(flame["parent"], values)):
            assert rest >= 0, f"the callees of node {node} have more than it has"
    if flame["omitted"] is not None:
        _keys(flame["omitted"], {"nodes", "text"})


def _treemap(treemap):
    columns = {"parent", "name", "type", "count", "retained", "shallow", "native", "path"}
    _keys(treemap, columns | {"total_bytes", "shown_bytes", "names", "types", "omitted"})
    count = len(treemap["parent"])
    assert 1 <= count <= MAX_NODES
    assert all(len(treemap[name]) == count for name in columns)
    _tree(treemap["parent"])
    _numbers(treemap["name"], treemap["names"])
    _numbers(treemap["type"], treemap["types"])
    _numbers([path for path in treemap["path"] if path != -1], treemap["names"])
    assert treemap["retained"][0] == treemap["total_bytes"]
    _size(treemap["shown_bytes"])
    inner = {parent for parent in treemap["parent"] if parent >= 0}
    rests = _without_children(treemap["parent"], treemap["retained"])
    for node, rest in enumerate(rests):
        if node in inner:
            assert rest == treemap["shallow"][node], f"node {node} is not the sum of its parts"
        assert treemap["count"][node] >= 1
        assert 0 <= treemap["native"][node] <= treemap["retained"][node]
    if treemap["omitted"] is not None:
        _keys(treemap["omitted"], {"text"})


def _table(table):
    _keys(
        {k: v for k, v in table.items() if k != "full"},
        {"key", "label", "help", "columns", "rows", "omitted"},
    )
    assert len(table.get("full", table["rows"])) == len(table["rows"])
    assert table["key"] in TABLES
    _texts(table, "label", "help")
    for column in table["columns"]:
        _keys(column, {"key", "label", "unit", "help"})
        _texts(column, *column)
        assert column["unit"] in UNITS
    assert _unique(column["key"] for column in table["columns"])
    assert 1 <= len(table["rows"]) <= MAX_ROWS
    for row in table["rows"]:
        assert len(row) == len(table["columns"])
        for value, column in zip(row, table["columns"], strict=True):
            if column["unit"] == "text":
                assert type(value) is str
            else:
                assert value is None or type(value) in (int, float)
    if table["omitted"] is not None:
        _keys(table["omitted"], {"rows", "text"})
        assert table["omitted"]["rows"] > 0


def _lines(lines):
    _keys(lines, {"file", "first_line", "rows"})
    assert lines["first_line"] == lines["rows"][0][0]
    numbers = [row[0] for row in lines["rows"]]
    assert numbers == sorted(set(numbers))
    for _, live, allocated, text in lines["rows"]:
        _size(live)
        _size(allocated)
        assert text is None or type(text) is str


def _part(part):
    assert part.keys() - {"parts"} == {"label", "bytes", "help"}
    _texts(part, "label", "help")
    _size(part["bytes"])
    _many(part.get("parts", []), _part)


# -- helpers -------------------------------------------------------------------------------------


def _keys(value, keys):
    assert type(value) is dict
    assert value.keys() == keys


def _texts(value, *names):
    for name in names:
        assert type(value[name]) is str, name


def _size(value):
    assert type(value) is int
    assert value >= 0


def _many(values, check_one):
    assert type(values) is list
    for value in values:
        check_one(value)


def _unique(values):
    values = list(values)
    return len(values) == len(set(values))


def _tree(parents):
    assert parents[0] == -1
    assert all(0 <= parent < node for node, parent in enumerate(parents[1:], start=1))


def _numbers(column, texts):
    assert all(type(text) is str for text in texts)
    assert _unique(texts)
    assert all(0 <= number < len(texts) for number in column)


def _without_children(parents, values):
    """Each value without those of the node's children."""
    rests = list(values)
    for parent, value in zip(parents, values, strict=True):
        if parent >= 0:
            rests[parent] -= value
    return rests
