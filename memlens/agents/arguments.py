"""Checks the arguments of a tool by its JSON Schema, of which the tools use a small part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memlens._options import shown
from memlens.errors import OptionError

__all__ = ("checked_arguments",)

_TYPES = {"string": (str, "a text"), "integer": (int, "a whole number"), "array": (list, "a list")}


def checked_arguments(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are given, without those that are null.

    Raises ``OptionError`` for an unknown, missing or wrong argument.
    """
    properties = schema["properties"]
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in given:
        if name not in properties:
            raise OptionError(f"unknown argument {name!r}: there are {', '.join(properties)}")
    for name in schema["required"]:
        if name not in given:
            raise OptionError(f"the argument {name!r} is missing")
    for name, value in given.items():
        _check(name, value, properties[name])
    return given


def _check(name: str, value: Any, rule: Mapping[str, Any]) -> None:
    if "enum" in rule:
        if value not in rule["enum"]:
            allowed = ", ".join(map(str, rule["enum"]))
            raise OptionError(f"{name} must be one of {allowed}; got {shown(value)}")
        return
    kind, text = _TYPES[rule["type"]]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise OptionError(f"{name} must be {text}; got {shown(value)}")
    low, high = rule.get("minimum"), rule.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        most = "" if high is None else f" and at most {high}"
        raise OptionError(f"{name} must be at least {low}{most}; got {shown(value)}")
    if isinstance(value, list):
        for item in value:
            _check(f"each of {name}", item, rule["items"])
