"""Files for the tests of the tools: planted heaps, and the workspace over their folder."""

from __future__ import annotations

import json
import os

from memlens.agents.tools import call
from memlens.agents.workspace import Workspace
from tests.leaks.test_suspects import leaking_dict, series


def leaking_folder(folder, rounds=4, name="heap", **facts):
    """Write snapshots of a program that leaks; return the folder."""
    folder.mkdir(exist_ok=True)
    facts = {"pid": 4711, "process": "one", **facts}
    for number, snapshot in enumerate(series(leaking_dict, rounds, **facts)):
        snapshot.save(folder / f"{name}-{number}.memlens")
    return folder


def ask(workspace, name, **arguments):
    """Call a tool that must succeed; return its answer."""
    text, is_error = call(workspace, name, arguments)
    assert not is_error, text
    return json.loads(text)


def refusal(workspace, name, **arguments):
    """Call a tool that must fail; return what it says."""
    text, is_error = call(workspace, name, arguments)
    assert is_error, text
    (error,) = json.loads(text).values()
    return error


def workspace_of(folder, **options):
    return Workspace([os.fspath(folder)], **options)
