"""scope: what is made inside a block and still alive after it, over many repetitions.

The idea is LeakChaser's transactions (Xu et al., PLDI 2011): what a request makes and what outlives
the request is suspect.

**How new objects are known.** Most repetitions only count. In a few, the young generations of the
collector are emptied before the block (``gc.collect(1)``), so that what is young after it was made
meanwhile. Of those objects only weak references are kept, so none lives longer than it would. Some
repetitions later a full collection and a heap snapshot, in a thread of memlens's own, tell which of
them are still alive, and who holds them. No address is compared over time, so none that is used
again can be mistaken.

**What it does not see.** Objects without weak references (dicts, lists, strings) count only as a
part of what such an object retains; if nothing else leaks, `find_leaks` sees them. What other
threads make meanwhile is counted too: a holder is reported where it gained in most looks. A block
that is so long that the collector's second generation is collected meanwhile is counted as missed.

**Cost.** A repetition that is not looked at adds to a counter. One that is costs two young
collections; and a look a full collection and a snapshot. There are at most ``max_looks``.
"""

from __future__ import annotations

import functools
import gc
import weakref
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from memlens._core.layout import NodeFlag
from memlens._fork import ForkSafeLock, call_in_forked_child
from memlens._options import check_count, check_text
from memlens._own_thread import OwnThread
from memlens.errors import OptionError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.naming import place_of
from memlens.leaks.scope_report import ScopeReport, ScopeSurvivors

__all__ = ("Scope", "scope")

Function = TypeVar("Function", bound=Callable[..., Any])

MAX_SCOPES = 100  # names; a name made of data would be a leak of our own
MAX_PLACES = 1000  # remembered of one scope
_WARM_UP = 10  # repetitions: what the first ones make is caches
_weak_offset = type.__dict__["__weakrefoffset__"].__get__


class _State:
    """All repetitions of one name."""

    def __init__(self, name: str, every: int, settle: int, max_looks: int, limit: int) -> None:
        self.name = name
        self.every, self.settle, self.max_looks, self.limit = every, settle, max_looks, limit
        self.repetitions = self.looks = self.missed = self.failures = 0
        self.watched = self.survived = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self.sizes: Counter[tuple[str, str]] = Counter()
        self.seen: Counter[tuple[str, str]] = Counter()
        self.paths: dict[tuple[str, str], RetentionPath] = {}
        self.marked: list[weakref.ref[Any]] | None = None
        self.sampling: Scope | None = None
        self.next_sample = _WARM_UP
        self.look_at = 0
        self.thread: OwnThread | None = None
        self.lock = ForkSafeLock()

    def forget_parent(self) -> None:
        """In a forked child: drop the check in progress, which belongs to the parent."""
        self.thread = self.marked = self.sampling = None

    def begin(self, one: Scope) -> None:
        """Count a repetition, and mark what it makes if it is its turn."""
        self.repetitions += 1
        if self.repetitions >= self.next_sample and self.looks < self.max_looks:
            with self.lock:
                free = self.sampling is None and self.marked is None and self.thread is None
                if free and _empty_young_generations():
                    # Not always the same step: programs take turns, in twos and in tens.
                    self.next_sample = self.repetitions + self.every + self.looks % 3
                    self.sampling = one
                    one.collections = _older_collections()

    def end(self, one: Scope) -> None:
        """End a repetition: note what is young now, or look at what was noted before."""
        if self.sampling is one:
            with self.lock:
                self.sampling = None
                if _older_collections() != one.collections:
                    self.missed += 1
                    return
                self.marked = self._mark()
                self.look_at = self.repetitions + self.settle
                gc.collect(1)  # the next one starts from empty generations too
        elif self.marked is not None and self.repetitions >= self.look_at:
            self._start_look()

    def _mark(self) -> list[weakref.ref[Any]]:
        young = gc.get_objects(0) + gc.get_objects(1)
        marked = []
        for obj in young:
            if _weak_offset(type(obj)):
                try:
                    marked.append(weakref.ref(obj))
                except TypeError:
                    continue
                if len(marked) == self.limit:
                    break
        return marked

    def _start_look(self) -> None:
        with self.lock:
            if self.marked is None or self.thread is not None:
                return
            marked, self.marked = self.marked, None
            thread = OwnThread(self._look, "memlens-scope", marked)
            self.thread = thread
            try:
                thread.start()
            except RuntimeError:  # no thread to be had: counted, and the program goes on
                self.thread = None
                self.failures += 1

    def _look(self, marked: list[weakref.ref[Any]]) -> None:
        try:
            gc.collect()
            alive = {id(obj) for one in marked if (obj := one()) is not None}
            obj = None  # held by nobody but the program while the snapshot is taken
            snapshot = take_heap_snapshot(collect=False, reason="scope")
            # Alive before and after: nothing else can have had these addresses in between.
            alive &= {id(obj) for one in marked if (obj := one()) is not None}
            obj = None
            self._note(snapshot, alive, len(marked))
        except Exception:  # noqa: BLE001 - watching never takes the program down; counted
            self.failures += 1
        finally:
            self.thread = None

    def _note(self, snapshot: HeapSnapshot, alive: set[int], watched: int) -> None:
        graph = snapshot.graph
        hidden = NodeFlag.OWN | NodeFlag.GARBAGE
        nodes = {
            node
            for node, address in enumerate(graph.node_address)
            if address in alive and node and not graph.flags[node] & hidden
        }
        finder = RetentionPathFinder(graph)
        found: Counter[tuple[str, str]] = Counter()
        for node in nodes:
            path = finder.path_to(node)
            if path is None:
                continue
            holder = _path_of_holder(path, nodes)
            key = (graph.type_of(node), place_of(holder))
            if key not in self.paths and len(self.paths) >= MAX_PLACES:
                continue
            found[key] += 1
            self.sizes[key] += graph.retained_bytes(node)
            self.paths.setdefault(key, holder)
        with self.lock:
            self.looks += 1
            self.watched += watched
            self.survived += len(nodes)
            self.counts.update(found)
            self.seen.update(found.keys())

    def report(self) -> ScopeReport:
        """Return what has survived so far."""
        with self.lock:
            rows = [
                ScopeSurvivors(kind, holder, self.paths[kind, holder], count, size, looks)
                for (kind, holder), count in self.counts.items()
                for size, looks in [(self.sizes[kind, holder], self.seen[kind, holder])]
            ]
            rows.sort(key=lambda row: (-row.looks, -row.retained_bytes, row.type_name))
            return ScopeReport(
                self.name, self.repetitions, self.looks, self.missed, self.failures,
                self.watched, self.survived, tuple(rows),
            )  # fmt: skip


class Scope:
    """One use of a named scope: a context manager, or a decorator for functions.

    Call `scope` anew for each block. All uses of one name count together.
    """

    __slots__ = ("_state", "collections")

    def __init__(self, state: _State) -> None:
        self._state = state
        self.collections = 0

    def __enter__(self) -> Scope:
        self._state.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state.end(self)

    def __call__(self, function: Function) -> Function:
        """Return ``function`` with each call, or each run of a coroutine function, as a block."""
        state = self._state
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x80:

            @functools.wraps(function)
            async def run_async(*args: Any, **kwargs: Any) -> Any:
                with Scope(state):
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]  # of the same signature

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with Scope(state):
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]  # of the same signature

    def report(self) -> ScopeReport:
        """Return what has survived the repetitions so far; a look that is under way counts not."""
        return self._state.report()

    def wait(self, timeout_seconds: float = 60.0) -> bool:
        """Wait for a look that is under way; False if it takes longer."""
        thread = self._state.thread
        if thread is not None:
            thread.wait_for_end(timeout_seconds)
        return thread is None or not thread.is_alive()

    def reset(self) -> None:
        """Forget this name and what was seen: the next use of it starts again."""
        with _lock:
            _states.pop(self._state.name, None)


_states: dict[str, _State] = {}
_lock = ForkSafeLock()


def _forget_parent() -> None:
    for state in _states.values():
        state.forget_parent()


call_in_forked_child(_forget_parent)


def scope(
    name: str,
    *,
    every: int = 100,
    settle: int = 5,
    max_looks: int = 20,
    max_objects: int = 10_000,
) -> Scope:
    """Watch what a block makes and leaves behind: ``with memlens.scope("request"): ...``.

    ``every``: one repetition in so many is looked at. ``settle``: so many repetitions later, what
    of it is alive has survived. ``max_looks``: of one name; then it only counts. ``max_objects``:
    followed of one repetition. The options of a name's first use hold.

    Raises ``OptionError`` for options below 1 and for more than 100 names: a name says what kind
    of block it is, not which one.
    """
    state = _states.get(name)
    if state is None:
        check_text("name", name)
        check_count("every", every)
        check_count("settle", settle)
        check_count("max_looks", max_looks)
        check_count("max_objects", max_objects)
        with _lock:
            if len(_states) >= MAX_SCOPES and name not in _states:
                raise OptionError(
                    f"{MAX_SCOPES} scopes have names already, {name!r} is one more: name the kind"
                    " of block, not the single one"
                )
            state = _states.setdefault(name, _State(name, every, settle, max_looks, max_objects))
    return Scope(state)


def _empty_young_generations() -> bool:
    """Collect them; False where another thread is at a collection, which makes ours do nothing."""
    before = int(gc.get_stats()[1]["collections"])
    gc.collect(1)
    return int(gc.get_stats()[1]["collections"]) > before


def _older_collections() -> int:
    """Return how often the generations above the first were collected: young ones left them."""
    _, middle, old = gc.get_stats()
    return int(middle["collections"]) + int(old["collections"])


def _path_of_holder(path: RetentionPath, survivors: set[int]) -> RetentionPath:
    """Return the path to the last object before the first survivor on the way."""
    for place, hop in enumerate(path.hops):
        if hop.node in survivors:
            return RetentionPath(path.root, path.root_kind, path.hops[:place])
    return path
