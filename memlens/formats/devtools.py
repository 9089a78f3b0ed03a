"""Allocation profiles for Chrome DevTools: ``.heapprofile``, of V8's sampling heap profiler.

Format: ``HeapProfiler.SamplingHeapProfile`` of the DevTools protocol
(https://chromedevtools.github.io/devtools-protocol/tot/HeapProfiler/#type-SamplingHeapProfile): a
tree of call frames with their own sizes, and samples. Its lines start at 0. The format has no field
for standard errors, threads or freed memory.
"""

from __future__ import annotations

import json
from typing import Any

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.call_tree import CallNode
from memlens.allocations.profile.rows import check_measure

__all__ = ("heapprofile_dict", "heapprofile_text")


def heapprofile_dict(profile: AllocationProfile, by: str = "live_bytes") -> dict[str, Any]:
    """Return the profile as a dict in the format of DevTools, with sizes of the measure ``by``.

    Raises OptionError for an unknown measure.
    """
    check_measure(by)
    scripts: dict[str, int] = {"": 0}
    root: dict[str, Any] = {}
    samples: list[dict[str, Any]] = []
    entries: dict[int, dict[str, Any]] = {}  # by id() of the node of the call tree
    tree = profile.tree()
    for number, (_, node) in enumerate(tree.walk(), start=1):
        entry = entries.get(id(node), root)
        entry |= _entry(node, number, by, scripts)
        for child in node.children:
            entries[id(child)] = {}
            entry["children"].append(entries[id(child)])
        if entry["selfSize"]:
            samples.append(
                {"size": entry["selfSize"], "nodeId": number, "ordinal": len(samples) + 1}
            )
    return {"head": root, "samples": samples}


def heapprofile_text(profile: AllocationProfile, by: str = "live_bytes") -> str:
    """Return the JSON text of `heapprofile_dict`.

    The text is built without recursion, which would limit the depth of the call tree.
    """
    data = heapprofile_dict(profile, by)
    pieces = ['{"head":']
    waiting: list[str | dict[str, Any]] = [data["head"]]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            pieces.append(item)
            continue
        pieces.append(_compact({**item, "children": []}).removesuffix("]}"))
        waiting.append("]}")
        for number, child in enumerate(reversed(item["children"]), start=1):
            waiting.append(child)
            if number < len(item["children"]):
                waiting.append(",")
    return f'{"".join(pieces)},"samples":{_compact(data["samples"])}}}'


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _entry(node: CallNode, number: int, by: str, scripts: dict[str, int]) -> dict[str, Any]:
    frame = node.frame
    return {
        "callFrame": {
            "functionName": "(root)" if number == 1 else _name(frame),
            "scriptId": str(scripts.setdefault(frame.file, len(scripts))),
            "url": frame.file,
            "lineNumber": frame.line - 1,
            "columnNumber": -1,
        },
        "selfSize": round(node.own[by]),
        "id": number,
        "children": [],
    }


def _name(frame: Frame) -> str:
    return frame.function or frame.location
