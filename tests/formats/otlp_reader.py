"""A reader of OTLP profiles written from the description of opentelemetry-proto 1.10.0 alone.

It gives objects with the attributes of the generated classes, so that `check_request` also accepts
what the real ones parse.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.formats.pprof_reader import message, numbers

# Field -> name and kind: a message, "text", "bytes", "number"; in a list if repeated.
VALUE_TYPE = {1: ("type_strindex", "number"), 2: ("unit_strindex", "number")}
ANY_VALUE = {1: ("string_value", "text"), 3: ("int_value", "number")}
KEY_VALUE = {1: ("key", "text"), 2: ("value", ANY_VALUE)}
SAMPLE = {
    1: ("stack_index", "number"),
    2: ("attribute_indices", ["number"]),
    3: ("link_index", "number"),
    4: ("values", ["number"]),
}
PROFILE = {
    1: ("sample_type", VALUE_TYPE),
    2: ("samples", [SAMPLE]),
    3: ("time_unix_nano", "number"),
    4: ("duration_nano", "number"),
    5: ("period_type", VALUE_TYPE),
    6: ("period", "number"),
}
LINE = {1: ("function_index", "number"), 2: ("line", "number")}
DICTIONARY = {
    1: ("mapping_table", [{}]),
    2: (
        "location_table",
        [
            {
                1: ("mapping_index", "number"),
                3: ("lines", [LINE]),
                4: ("attribute_indices", ["number"]),
            }
        ],
    ),
    3: (
        "function_table",
        [{1: ("name_strindex", "number"), 3: ("filename_strindex", "number")}],
    ),
    4: ("link_table", [{1: ("trace_id", "bytes"), 2: ("span_id", "bytes")}]),
    5: ("string_table", ["text"]),
    6: ("attribute_table", [{1: ("key_strindex", "number"), 2: ("value", ANY_VALUE)}]),
    7: ("stack_table", [{1: ("location_indices", ["number"])}]),
}
SCOPE_PROFILES = {
    1: ("scope", {1: ("name", "text"), 2: ("version", "text")}),
    2: ("profiles", [PROFILE]),
}
RESOURCE_PROFILES = {
    1: ("resource", {1: ("attributes", [KEY_VALUE])}),
    2: ("scope_profiles", [SCOPE_PROFILES]),
}
REQUEST = {1: ("resource_profiles", [RESOURCE_PROFILES]), 2: ("dictionary", DICTIONARY)}


def read(data: bytes, schema: dict[int, Any] = REQUEST) -> SimpleNamespace:
    """Return the message; a field that the schema does not have is an error."""
    fields = message(data)
    assert set(fields) <= set(schema), (fields.keys(), schema)
    found = SimpleNamespace()
    for field, (name, kind) in schema.items():
        setattr(found, name, _value(fields.get(field, []), kind))
    return found


def _value(raw: list[Any], kind: Any) -> Any:
    if kind == ["number"]:  # packed
        return [number for part in raw for number in numbers(part)]
    if isinstance(kind, list):
        return [_value([one], kind[0]) for one in raw]
    if isinstance(kind, dict):
        return read(raw[0] if raw else b"", kind)
    if kind == "text":
        return raw[0].decode() if raw else ""
    return raw[0] if raw else b"" if kind == "bytes" else 0


def check_request(request: Any) -> None:
    """Assert what opentelemetry-proto demands of a message, and that nothing is twice or unused."""
    tables = request.dictionary
    _check_zero_values(tables)
    used: dict[str, set[int]] = {name: {0} for name in _TABLES}

    def use(table: str, index: int) -> Any:
        rows = getattr(tables, table)
        assert 0 <= index < len(rows), (table, index, len(rows))
        used[table].add(index)
        return rows[index]

    for resource in request.resource_profiles:
        for scope in resource.scope_profiles:
            for profile in scope.profiles:
                _check_profile(profile, use)
    for name in _TABLES:
        rows = getattr(tables, name)
        if name != "mapping_table":
            assert len({_plain(row) for row in rows}) == len(rows), f"{name} has a row twice"
            assert used[name] == set(range(len(rows))), f"{name} has rows that nothing uses"


_TABLES = [name for name, _ in DICTIONARY.values()]


def _check_zero_values(tables: Any) -> None:
    assert tables.string_table[0] == ""
    assert len(tables.mapping_table) == 1
    first = tables.location_table[0]
    assert (first.mapping_index, list(first.lines), list(first.attribute_indices)) == (0, [], [])
    first = tables.function_table[0]
    assert (first.name_strindex, first.filename_strindex) == (0, 0)
    assert (tables.link_table[0].trace_id, tables.link_table[0].span_id) == (b"", b"")
    assert tables.attribute_table[0].key_strindex == 0
    assert list(tables.stack_table[0].location_indices) == []


def _check_profile(profile: Any, use: Any) -> None:
    for value_type in (profile.sample_type, profile.period_type):
        assert use("string_table", value_type.type_strindex)
        assert use("string_table", value_type.unit_strindex)
    identities = []
    for sample in profile.samples:
        assert len(sample.values) == 1
        identities.append(
            (sample.stack_index, frozenset(sample.attribute_indices), sample.link_index)
        )
        _check_attributes(sample.attribute_indices, use)
        link = use("link_table", sample.link_index)
        assert not sample.link_index or (len(link.trace_id), len(link.span_id)) == (16, 8)
        for index in use("stack_table", sample.stack_index).location_indices:
            location = use("location_table", index)
            assert index != 0
            _check_attributes(location.attribute_indices, use)
            (line,) = location.lines
            function = use("function_table", line.function_index)
            assert line.function_index != 0
            assert use("string_table", function.name_strindex)
            use("string_table", function.filename_strindex)
    assert len(set(identities)) == len(identities)


def _check_attributes(indices: Any, use: Any) -> None:
    keys = []
    for index in indices:
        assert index != 0
        keys.append(use("string_table", use("attribute_table", index).key_strindex))
    assert all(keys)
    assert len(set(keys)) == len(keys)


def _plain(row: Any) -> Any:
    return row if isinstance(row, str) else str(row)


def profiles(request: Any) -> dict[str, Any]:
    """Return the profiles by the name of their measure."""
    texts = request.dictionary.string_table
    (resource,) = request.resource_profiles
    (scope,) = resource.scope_profiles
    return {texts[profile.sample_type.type_strindex]: profile for profile in scope.profiles}


def call_paths(request: Any, name: str) -> dict[Any, int]:
    """Return the values of a measure by call path (leaf first), attributes and link."""
    tables = request.dictionary
    texts = tables.string_table
    found = {}
    for sample in profiles(request)[name].samples:
        path = []
        for index in tables.stack_table[sample.stack_index].location_indices:
            (line,) = tables.location_table[index].lines
            function = tables.function_table[line.function_index]
            path.append(
                (texts[function.name_strindex], texts[function.filename_strindex], line.line)
            )
        rows = [tables.attribute_table[index] for index in sample.attribute_indices]
        attributes = {texts[row.key_strindex]: row.value.string_value for row in rows}
        link = tables.link_table[sample.link_index]
        key = (tuple(path), tuple(sorted(attributes.items())), (link.trace_id, link.span_id))
        found[key] = sample.values[0]
    return found
