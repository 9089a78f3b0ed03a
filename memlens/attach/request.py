"""What is asked of a process, and the script that runs there to answer it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from memlens._package import PACKAGE_FOLDER

__all__ = ("COMMANDS", "Request", "script_text")

COMMANDS = ("dump", "stacks", "attach", "stop", "snapshot")
_NEEDED = ("psutil", "objgraph", "rich")


@dataclass(frozen=True, slots=True)
class Request:
    """A command for a process. ``output_dir``: of ``attach``, as the process names it."""

    command: str
    output_dir: str = ""

    def to_dict(self, folder: str) -> dict[str, Any]:
        """Return JSON-ready values; ``folder`` is the exchange folder, as the process names it."""
        return {
            "command": self.command,
            "path": os.path.join(folder, "snapshot.memlens"),
            "output_dir": self.output_dir,
            "client_version": ".".join(map(str, sys.version_info[:2])),
            "client_paths": _own_folders(),
        }


def _own_folders() -> list[str]:
    """Return the folders from which memlens and what it needs can be imported."""
    package = os.path.dirname(PACKAGE_FOLDER.rstrip(os.sep))
    folders = [package]
    for name in _NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin:
            home = os.path.dirname(spec.origin)
            folders.append(os.path.dirname(home) if spec.submodule_search_locations else home)
    return list(dict.fromkeys(folders))


def script_text(folder: str) -> str:
    """Return the script for the process. It defines no name in the namespace that executes it."""
    agent = _source("attach/agent.py")
    stacks = _source("process/live_stacks.py")
    names = (
        f"{{'__name__': 'memlens_agent', 'FOLDER': {folder!r}, 'STACKS': {stacks!r},"
        " 'MAIN_THREAD': globals().get('MEMLENS_MAIN_THREAD', 0)}"
    )
    return f"exec(compile({agent!r}, '<memlens>', 'exec'), {names})\n"


def _source(name: str) -> str:
    with open(os.path.join(PACKAGE_FOLDER, name), encoding="utf-8") as file:
        return file.read()
