"""Checks JSON against the part of JSON Schema that the schemas of memlens use.

Stricter than JSON Schema: a field that the schema does not name is a complaint, too.
"""

from __future__ import annotations

_TYPES = {
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_KNOWN = {"$schema", "$id", "$defs", "$ref", "title", "description", "type", "properties", "required",
          "items", "anyOf", "enum", "const"}  # fmt: skip


def complaints(value, schema, whole=None, place="$"):
    """Return what is wrong with a value, each with its place; empty if it follows the schema."""
    whole = schema if whole is None else whole
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return complaints(value, whole["$defs"][name], whole, place)
    if "anyOf" in schema:
        found = [complaints(value, one, whole, place) for one in schema["anyOf"]]
        return [] if [] in found else min(found, key=len)
    if "const" in schema and value != schema["const"]:
        return [f"{place} is {value!r}, not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place} is {value!r}, none of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        return [f"{place} is {value!r}, not of type {kinds}"]
    wrong = []
    if isinstance(value, dict):
        missing = [name for name in schema.get("required", ()) if name not in value]
        wrong += [f"{place}.{name} is missing" for name in missing]
        properties = schema.get("properties")
        for name, item in value.items() if properties is not None else ():
            if name not in properties:
                wrong.append(f"{place}.{name} is not in the schema")
            else:
                wrong += complaints(item, properties[name], whole, f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            wrong += complaints(item, schema["items"], whole, f"{place}[{number}]")
    return wrong


def fields_of(schema, whole, place="", seen=()):
    """Yield the place of each field that a schema names, as in ``suspects[].holder``."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in seen:
            yield from fields_of(whole["$defs"][name], whole, place, (*seen, name))
        return
    for one in schema.get("anyOf", ()):
        yield from fields_of(one, whole, place, seen)
    for name, item in schema.get("properties", {}).items():
        inner = f"{place}.{name}" if place else name
        yield inner
        yield from fields_of(item, whole, inner, seen)
    if "items" in schema:
        yield from fields_of(schema["items"], whole, f"{place}[]", seen)
