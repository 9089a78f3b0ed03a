"""The JSON of the commands: which schema each document follows, and the command ``schema``.

Each document has a field ``schema``, such as ``memlens/leaks/1``: a name, and a version that changes
when a field is removed or changes its meaning. Fields may be added within a version.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from memlens.cli.working import print_at_end
from memlens.errors import OptionError

__all__ = ("SCHEMAS", "add_schema_command", "json_schema", "stamped")

_FILE = "documents.schema.json"  # the fields of all documents
# The versions of the documents.
SCHEMAS = {
    "allocation-lines": 1,
    "allocations": 1,
    "converted": 1,
    "diff": 1,
    "dominators": 1,
    "drops": 1,
    "duplicates": 1,
    "fleet": 1,
    "fleet-rows": 1,
    "fleet-tables": 1,
    "html": 1,
    "kinds": 1,
    "leaks": 1,
    "paths": 1,
    "run": 1,
    "stacks": 1,
    "stuck": 1,
    "summary": 1,
    "tables-heap": 1,
    "tables-merge": 1,
    "tables-schema": 1,
    "traces": 1,
}
_PREFIX = "#/$defs/"


def stamped(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the name and version of its schema."""
    return {"schema": f"memlens/{name}/{SCHEMAS[name]}", **document}


def json_schema(name: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema of one document, or of all. Raises ``OptionError`` for another name."""
    from importlib.resources import files  # here: a program under ``run`` pays for what is imported

    text = files("memlens.cli").joinpath(_FILE).read_text(encoding="utf-8")
    whole: dict[str, Any] = json.loads(text)
    if name is None:
        return whole
    if name not in SCHEMAS:
        raise OptionError(f"there is no schema {name!r}: there are {', '.join(SCHEMAS)}")
    found = whole["$defs"][f"document_{name}"]
    needed = {one: whole["$defs"][one] for one in sorted(_needed(found, whole["$defs"], set()))}
    identifier = f"urn:memlens:{name}:{SCHEMAS[name]}"
    return {"$schema": whole["$schema"], "$id": identifier, **found, "$defs": needed}


def _needed(part: Any, definitions: Mapping[str, Any], found: set[str]) -> set[str]:
    """Return the names of the definitions that a part of a schema refers to, directly or not."""
    if isinstance(part, dict):
        reference = part.get("$ref", "").removeprefix(_PREFIX)
        if reference and reference not in found:
            found.add(reference)
            _needed(definitions[reference], definitions, found)
        for item in part.values():
            _needed(item, definitions, found)
    elif isinstance(part, list):
        for item in part:
            _needed(item, definitions, found)
    return found


def add_schema_command(commands: Any) -> None:
    """Add the parser of the command to the subparsers of the command line."""
    parser = commands.add_parser("schema", help="print the JSON Schema of the output of --json")
    parser.add_argument(
        "document",
        nargs="?",
        metavar="NAME",
        help=f"one document (default: all): {', '.join(SCHEMAS)}",
    )
    parser.set_defaults(command=_schema)


def _schema(arguments: argparse.Namespace) -> int:
    text = json.dumps(json_schema(arguments.document), indent=1, ensure_ascii=False)
    print_at_end(lambda: print(text))
    return 0
