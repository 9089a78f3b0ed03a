"""stuck_tasks: the tasks and threads that nothing can wake any more, as a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from memlens._core.layout import NONE, EdgeKind
from memlens._display import displayed
from memlens._frame import Frame, is_library_file
from memlens._options import shown
from memlens._text import fitted, format_bytes, format_count, labelled
from memlens.errors import OptionError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.stuck.labelled_edges import LabelledEdges
from memlens.stuck.waiters import NAMES, Waiter, find_waiters
from memlens.stuck.wakeable import find_stuck

__all__ = ("StuckReport", "StuckTask", "stuck_tasks")

_SUSPENDED = frozenset({"coroutine", "generator", "async_generator"})
_CODE_FIELDS = frozenset({"gi_code", "cr_code", "ag_code", "f_code"})
_BETWEEN = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow"})
_SHOWN = 10
_MAX_DEPTH = 1000


@displayed
@dataclass(frozen=True, slots=True)
class StuckTask:
    """A task or a thread that nothing can wake.

    ``kind``: ``task`` or ``thread``. ``name``: the coroutine function of a task, the name of a
    thread. ``frames``: where it stands, the outermost first; the line of a suspended coroutine is
    that of its definition. ``local_names``: the variables of the innermost frame that is not of a
    library. ``waits_for``: the type of what it waits for. ``retained_bytes``: what would be freed
    with it.
    """

    kind: str
    name: str
    frames: tuple[Frame, ...]
    local_names: tuple[str, ...]
    waits_for: str
    retained_bytes: int

    def __repr__(self) -> str:
        return f"<StuckTask {self.kind} {self.name}: retains {format_bytes(self.retained_bytes)}>"

    @property
    def frame(self) -> Frame | None:
        """The innermost frame that is not of a library; else the innermost one."""
        own = [frame for frame in self.frames if not is_library_file(frame.file)]
        return own[-1] if own else self.frames[-1] if self.frames else None

    @property
    def why(self) -> str:
        """A sentence that says why nothing can wake it."""
        return f"it waits for {self.waits_for}, which only what waits can reach"

    def to_dict(self) -> dict[str, Any]:
        """Return the task as JSON-ready values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "frames": [
                {"function": one.function, "file": one.file, "line": one.line}
                for one in self.frames
            ],
            "local_names": list(self.local_names),
            "waits_for": self.waits_for,
            "why": self.why,
            "retained_bytes": self.retained_bytes,
        }


@displayed
@dataclass(frozen=True, slots=True, repr=False)
class StuckReport(Sequence[StuckTask]):
    """The stuck tasks and threads of a process, those that retain most first.

    ``waiting_count``: how many tasks and threads wait in all. Prints one entry for each place.
    """

    pid: int
    waiting_count: int
    tasks: tuple[StuckTask, ...]

    def __iter__(self) -> Iterator[StuckTask]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, index: int) -> StuckTask: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[StuckTask, ...]: ...

    def __getitem__(self, index: int | slice) -> StuckTask | tuple[StuckTask, ...]:
        return self.tasks[index]

    def __repr__(self) -> str:
        return f"<StuckReport: {len(self)} of {self.waiting_count} are stuck>"

    def __str__(self) -> str:
        waiting = f"{format_count(self.waiting_count)} waiting tasks and threads"
        if not self.tasks:
            return fitted(f"Process {self.pid}: none of {waiting} is stuck")
        size = format_bytes(sum(task.retained_bytes for task in self.tasks))
        head = (
            f"Process {self.pid}: {format_count(len(self))} of {waiting} cannot be woken any more;"
            f" they retain {size}"
        )
        groups: dict[tuple[str, str, Frame | None, str], list[StuckTask]] = {}
        for task in self.tasks:
            key = task.kind, task.name, task.frame, task.waits_for
            groups.setdefault(key, []).append(task)
        blocks = [
            _group_text(group, f"{rank}. ")
            for rank, group in enumerate([*groups.values()][:_SHOWN], start=1)
        ]
        if len(groups) > _SHOWN:
            blocks.append(f"... and {len(groups) - _SHOWN} more places")
        return "\n\n".join([fitted(head), *blocks])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "pid": self.pid,
            "waiting_count": self.waiting_count,
            "tasks": [task.to_dict() for task in self.tasks],
        }


def _group_text(group: Sequence[StuckTask], lead: str) -> str:
    first = group[0]
    size = format_bytes(sum(task.retained_bytes for task in group))
    times = f"{format_count(len(group))} × " if len(group) > 1 else ""
    fields = [("why", first.why)]
    if first.frame is not None:
        fields.insert(0, ("stands in", str(first.frame)))
    if first.local_names:
        fields.append(("locals", ", ".join(first.local_names)))
    lines = [labelled(label, text) for label, text in fields]
    what = f"{times}{first.kind} {first.name}, retains {size}"
    return "\n".join([labelled(lead, what, label_width=0, indent=""), *lines])


def stuck_tasks(snapshot: HeapSnapshot | None = None) -> StuckReport:
    """Return the asyncio tasks and the threads that nothing can wake any more.

    What such a task waits for (a future, a queue, an event, a lock) is reachable only from tasks and
    threads that wait themselves: no timer, socket, thread, running code or global variable leads to
    it. Where something might, the task is not reported. Threads count if they wait without a timeout
    for a ``threading`` condition, event or queue, and if the capture could read their variables.

    ``snapshot``: one that was taken or loaded; by default the running process is captured, after a
    collection of garbage, which pauses it as long as a snapshot does. Raises ``OptionError`` for
    anything else.
    """
    if snapshot is None:
        snapshot = take_heap_snapshot(mode="inline", reason="stuck_tasks", collect=True)
    elif not isinstance(snapshot, HeapSnapshot):
        raise OptionError(f"snapshot must be a HeapSnapshot; got {shown(snapshot)}")
    graph = snapshot.graph
    edges = LabelledEdges(graph, NAMES)
    waiters = find_waiters(graph, edges)
    stuck = find_stuck(graph, edges, waiters) if waiters else []
    found = [_describe(graph, edges, waiter) for waiter in stuck]
    found.sort(key=lambda task: (-task.retained_bytes, task.name))
    return StuckReport(snapshot.pid, len(waiters), tuple(found))


def _describe(graph: HeapGraph, edges: LabelledEdges, waiter: Waiter) -> StuckTask:
    if waiter.kind == "thread":
        nodes, frames = _thread_frames(graph, waiter.thread)
        names = graph.facts.get("threads", {})
        name = str(names.get(str(waiter.thread), waiter.thread))
    else:
        nodes = _await_chain(graph, waiter.own[1])
        frames = [_definition(graph, node) for node in nodes]
        name = f"{frames[0].function}()" if frames else graph.type_of(waiter.own[1])
    own = [place for place, frame in enumerate(frames) if not is_library_file(frame.file)]
    place = own[-1] if own else len(frames) - 1
    return StuckTask(
        kind=waiter.kind,
        name=name,
        frames=tuple(frames),
        local_names=_local_names(graph, nodes[place]) if nodes else (),
        waits_for=_awaited_text(graph, edges, waiter),
        retained_bytes=graph.retained_bytes(waiter.node),
    )


def _thread_frames(graph: HeapGraph, thread: int) -> tuple[list[int], list[Frame]]:
    found = []
    for root in range(graph.root_count_total):
        row = graph.root_frame[root]
        if row != NONE and graph.frame_thread[row] == thread:
            file, function = graph.string(graph.frame_file[row]), graph.frame_function[row]
            frame = Frame(graph.string(function), file, graph.frame_line[row])
            found.append((graph.frame_depth[row], graph.edge_target[root], frame))
    found.sort(reverse=True)
    return [node for _, node, _ in found], [frame for _, _, frame in found]


def _await_chain(graph: HeapGraph, coroutine: int) -> list[int]:
    """Return a coroutine, what it awaits, and so on: what an unnamed reference leads to."""
    chain, node = [coroutine], coroutine
    while len(chain) < _MAX_DEPTH:
        following = [
            edge.target
            for edge in graph.edges(node)
            if not edge.name and graph.type_of(edge.target) in _SUSPENDED | _BETWEEN
        ]
        if not following or following[-1] in chain:
            break
        node = following[-1]
        if graph.type_of(node) in _SUSPENDED:
            chain.append(node)
        else:
            inner = [t for t in graph.strong_targets(node) if graph.type_of(t) in _SUSPENDED]
            if not inner or inner[0] in chain:
                break
            node = inner[0]
            chain.append(node)
    return chain


def _definition(graph: HeapGraph, node: int) -> Frame:
    for edge in graph.edges(node):
        if edge.kind is EdgeKind.INTERNAL and edge.name in _CODE_FIELDS:
            location = graph.location_of(edge.target)
            file, line = (location.file, location.line) if location else ("", 0)
            return Frame(graph.name_of(edge.target), file, line)
    return Frame(graph.type_of(node), "", 0)


def _local_names(graph: HeapGraph, node: int) -> tuple[str, ...]:
    names = [edge.name for edge in graph.edges(node) if edge.kind is EdgeKind.LOCAL and edge.name]
    return tuple(dict.fromkeys(names))


def _awaited_text(graph: HeapGraph, edges: LabelledEdges, waiter: Waiter) -> str:
    """Name what a waiter waits for: the queue, event or lock whose future it is."""
    awaited = waiter.awaited
    coroutine = edges.target("_coro", awaited)
    if coroutine is not None:
        return f"the task {_definition(graph, coroutine).function}()"
    if awaited in edges.by_name["_children"]:
        return "tasks that it gathers"
    owners = [
        owner
        for table in graph.referrers(awaited)
        for owner in (graph.referrers(table) if table and graph.length_of(table) else [table])
        if owner and owner not in waiter.own
    ]
    module = "asyncio." if waiter.kind == "task" else ("threading.", "queue.")
    kinds = Counter(
        graph.type_of(_instance_of(graph, owner))
        for owner in owners
        if graph.type_of(_instance_of(graph, owner)).startswith(module)
    )
    name = min(kinds, key=lambda kind: (-kinds[kind], kind)) if kinds else graph.type_of(awaited)
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name}"


def _instance_of(graph: HeapGraph, node: int) -> int:
    owners = [owner for owner in graph.referrers(node) if owner]
    return owners[0] if graph.type_of(node) == "dict" and len(owners) == 1 else node
