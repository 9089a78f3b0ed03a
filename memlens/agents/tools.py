"""The tools by name, with the JSON Schema of their arguments; calls them and reports errors.

Used by the server, and without it: ``call(workspace, "find_leaks", {"pid": 4711})``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memlens._log import ERROR, log_event
from memlens.agents.allocation_sites import VIEWS, allocations, source_lines
from memlens.agents.answers import (
    DEFAULT_TOKENS,
    MAX_TOKENS,
    MIN_TOKENS,
    Answer,
    error_text,
    page_text,
)
from memlens.agents.arguments import checked_arguments
from memlens.agents.groups import SUMMARIES, compare, stuck_tasks, summarize
from memlens.agents.leaks import explain_suspect, find_suspects
from memlens.agents.listing import list_files
from memlens.agents.objects import largest, why_alive
from memlens.agents.processes import (
    list_processes,
    process_stacks,
    reach_process,
    take_snapshot,
)
from memlens.agents.workspace import Workspace
from memlens.allocations.profile.rows import MEASURES
from memlens.errors import MemlensError

__all__ = ("Tool", "call", "tools_for")


_FILE = {"type": "string", "description": "a name that list_files gives; default: the newest"}
_FILES = {
    "type": "array",
    "items": {"type": "string"},
    "description": "names that list_files gives; default: all snapshots of the process",
}
_PID = {"type": "integer", "minimum": 1, "description": "a process; default: the newest known"}
_PROCESS = {"type": "integer", "minimum": 1, "description": "the process id"}
_OBJECT = {"type": "integer", "minimum": 1, "description": "the number of an object in this file"}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: ``run`` is called with the workspace and the arguments, by name.

    ``properties`` are those of the JSON Schema of the arguments, ``required`` names some of them.
    ``reads_only``: it runs nothing in another process.
    """

    name: str
    purpose: str
    run: Callable[..., Answer]
    properties: Mapping[str, Any]
    required: tuple[str, ...] = ()
    reads_only: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments, with those that every tool has."""
        return {
            "type": "object",
            "properties": {**self.properties, **_PAGE},
            "required": list(self.required),
            "additionalProperties": False,
        }


_PAGE = {
    "max_tokens": {
        "type": "integer",
        "minimum": MIN_TOKENS,
        "maximum": MAX_TOKENS,
        "description": f"the size of the answer at most; default: {DEFAULT_TOKENS}",
    },
    "cursor": {"type": "string", "description": "next_cursor of the page before"},
}

_TOOLS = (
    Tool(
        "list_files",
        "List heap snapshots and allocation profiles of memlens, by process. Start here.",
        list_files,
        {"pid": _PID},
    ),
    Tool(
        "find_leaks",
        "Find what accumulates objects over the snapshots of one process: holders with their growth,"
        " the pattern and where the objects were allocated.",
        find_suspects,
        {"files": _FILES, "pid": _PID},
    ),
    Tool(
        "explain_suspect",
        "Explain one suspect of find_leaks: the path from the root to the holder, evidence, what to"
        " change, call paths of the allocations.",
        explain_suspect,
        {
            "id": {"type": "string", "description": "the id of a suspect"},
            "files": _FILES,
            "pid": _PID,
        },
        ("id",),
    ),
    Tool(
        "why_alive",
        "Show the reference paths from roots that keep objects alive. Give one of type, path, object.",
        why_alive,
        {
            "file": _FILE,
            "pid": _PID,
            "type": {"type": "string", "description": "a full type name; * matches any text"},
            "path": {"type": "string", "description": "such as app.registry._sessions"},
            "object": _OBJECT,
            "max_objects": {"type": "integer", "minimum": 1, "maximum": 50},
            "max_paths": {"type": "integer", "minimum": 1, "maximum": 20},
        },
    ),
    Tool(
        "largest",
        "Show what retains most memory in one snapshot: objects, types, or the objects in which"
        " memory accumulates (drop). With an object: what it dominates.",
        largest,
        {
            "file": _FILE,
            "pid": _PID,
            "by": {"enum": ["object", "type", "drop"], "description": "default: object"},
            "object": _OBJECT,
        },
    ),
    Tool(
        "summarize",
        "Count the objects of one snapshot in groups, with shallow and retained sizes.",
        summarize,
        {
            "file": _FILE,
            "pid": _PID,
            "by": {"enum": list(SUMMARIES), "description": "default: type"},
        },
    ),
    Tool(
        "compare",
        "Compare two snapshots of one process by type; default: the first and the last.",
        compare,
        {"before": _FILE, "after": _FILE, "pid": _PID},
    ),
    Tool(
        "allocations",
        "Show where memory was allocated, by an allocation profile: lines of the program, sites, call"
        " paths, modules or threads.",
        allocations,
        {
            "file": _FILE,
            "pid": _PID,
            "view": {"enum": list(VIEWS), "description": "default: line"},
            "by": {"enum": list(MEASURES), "description": "default: live_bytes"},
        },
    ),
    Tool(
        "stuck_tasks",
        "List asyncio tasks and threads of one snapshot that nothing can wake any more.",
        stuck_tasks,
        {"file": _FILE, "pid": _PID},
    ),
)
_SOURCE = Tool(
    "source_lines",
    "Show lines of a source file around a line that another tool named.",
    source_lines,
    {
        "file": {"type": "string", "description": "a path that another tool printed"},
        "line": {"type": "integer", "minimum": 1},
        "around": {"type": "integer", "minimum": 0, "maximum": 50, "description": "default: 5"},
    },
    ("file", "line"),
)
_PROCESSES = (
    Tool("list_processes", "List running processes that memlens profiles.", list_processes, {}),
    Tool(
        "take_snapshot",
        "Take a heap snapshot of a running Python process, which pauses for it.",
        take_snapshot,
        {"pid": _PROCESS},
        ("pid",),
        reads_only=False,
    ),
    Tool(
        "process_stacks",
        "Show where the threads and asyncio tasks of a running Python process stand.",
        process_stacks,
        {"pid": _PROCESS},
        ("pid",),
        reads_only=False,
    ),
)


def tools_for(workspace: Workspace) -> dict[str, Tool]:
    """Return the tools that the user has allowed, by name."""
    chosen = [*_TOOLS]
    if workspace.source_roots:
        chosen.append(_SOURCE)
    if workspace.processes:
        chosen += _PROCESSES
    return {tool.name: tool for tool in chosen}


def call(
    workspace: Workspace, name: str, arguments: Mapping[str, Any] | None = None
) -> tuple[str, bool]:
    """Call a tool; return its answer as JSON, and whether that is an error.

    An error says what is wrong and what to do; nothing is raised but what ends the work, such as
    ``KeyboardInterrupt``.
    """
    max_tokens = DEFAULT_TOKENS
    try:
        tools = tools_for(workspace)
        tool = tools.get(name)
        if tool is None:
            text = f"there is no tool {name!r}: there are {', '.join(tools)}"
            return error_text(text, max_tokens), True
        given = checked_arguments(tool.schema, arguments or {})
        max_tokens = given.pop("max_tokens", DEFAULT_TOKENS)
        cursor = given.pop("cursor", None)
        if isinstance(given.get("pid"), int):
            reach_process(workspace, given["pid"])
        answer = _with_known_hints(tool.run(workspace, **given), tools)
        question = json.dumps([name, given], sort_keys=True)
        return page_text(answer, max_tokens, question, cursor), False
    except MemlensError as error:
        return error_text(str(error), max_tokens), True
    except MemoryError:
        return error_text("out of memory: ask about fewer or smaller snapshots", max_tokens), True
    except Exception as error:  # noqa: BLE001 - a fault of ours: the log has the traceback
        message = f"the tool {name} failed"
        log_event(ERROR, "tool_failed", message, exception=error, part="agents", tool=name)
        text = f"memlens failed: {type(error).__name__}; the log on stderr of the server says where"
        return error_text(text, max_tokens), True


def _with_known_hints(answer: Answer, tools: Mapping[str, Tool]) -> Answer:
    """Leave out hints that name a tool which the user has not allowed."""
    missing = {tool.name for tool in (_SOURCE, *_PROCESSES)} - tools.keys()
    hints = tuple(hint for hint in answer.hints if hint.partition(" ")[0] not in missing)
    return Answer(answer.head, answer.rows_name, answer.rows, hints, answer.total_count)
