"""The one sampler of the process, shared by subscription.

The first subscriber starts it, the last one stops it. Each sees only what happened since it joined:
it keeps the number of its first sample and the sums allocated before.

Signal handlers and finalizers may call any method, also in a thread that is within another method.
So the lock is reentrant, and each step leaves a state that the next caller can go on from: the list
of subscriptions says what is wanted, and `_settle` makes the sampler match it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from memlens._core.sampler_api import OwnWork, load_sampler
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.sampling.site_tables import (
    AllocatedSums,
    LiveSites,
    allocated_sums,
    live_sites,
    rows_of,
    thread_names,
)

__all__ = ("SHARED", "AllocatedSince", "SharedSampler", "Subscription", "View")

_NOTHING_LIVE = (1 << 64) - 1  # no sample has this number


@dataclass(frozen=True, slots=True)
class View:
    """Where a subscriber's view begins: at sample ``since``, with the sums of ``baseline``.

    When the sampler is started again (``starts`` changes), or only its sums begin again
    (``sums_begun``), the subscriber sees everything from there on.
    """

    starts: int
    since: int
    sums_begun: int
    baseline: AllocatedSums


@dataclass(frozen=True, slots=True)
class AllocatedSince:
    """The sums allocated up to a moment, for the next profile to begin there."""

    sums_begun: int
    sums: AllocatedSums

    def __repr__(self) -> str:
        return f"<AllocatedSince: {len(self.sums)} sites>"


class Subscription:
    """One subscriber: what it asks of the sampler, and its view, None before it has joined."""

    __slots__ = ("__weakref__", "capacity", "interval_bytes", "seed", "view")

    def __init__(self, interval_bytes: int, capacity: int, seed: int) -> None:
        self.interval_bytes = interval_bytes
        self.capacity = capacity
        self.seed = seed
        self.view: View | None = None


class SharedSampler:
    """Starts, shares and stops the C sampler. There is one, `SHARED`: hooks are the process's."""

    def __init__(self) -> None:
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._subscriptions: list[Subscription] = []
        self._interval_bytes = 0  # as asked of the sampler, which may have doubled it since
        self._fork_watched = False

    @property
    def sampler(self) -> ModuleType:
        """The C sampler. Raises ImportError where there is none."""
        return load_sampler()

    @property
    def subscribers(self) -> int:
        """How many profilers share the sampler now."""
        return len(self._subscriptions)

    def guard(self) -> threading.RLock:
        """Return the lock that starts and stops are made under, all profilers'.

        It is one lock for all, because a finalizer that stops one profiler may run while another
        one is started. In a forked child it is a new one: a thread of the parent may hold the old
        one for ever.
        """
        if self._pid != os.getpid():
            self._begin_in_child()
        return self._lock

    def join(self, subscription: Subscription) -> None:
        """Add a subscriber. The smallest interval of all holds; the capacity is the first one's.

        Raises what the start of the sampler raises; the subscriber is not added then.
        """
        with self.guard():
            self._watch_forks()
            try:
                self._subscriptions.append(subscription)
                self._settle(subscription.seed)
                subscription.view = self._view_from_now()
            except BaseException:
                self.leave(subscription)
                raise

    def leave(self, subscription: Subscription) -> None:
        """Remove a subscriber. Does nothing if it has not joined."""
        with self.guard():
            try:
                self._subscriptions.remove(subscription)
            except ValueError:
                return
            self._settle()

    def restart(self, subscription: Subscription) -> None:
        """Let a subscriber's view begin now.

        Where the hooks were lost the sampler is started again, and all views begin now: what was
        freed meanwhile is not known. Raises RuntimeError where the sampler does not run.
        """
        with self.guard():
            if "bypassed" in self.sampler.health().values():
                self.sampler.stop()
                self._settle()
            subscription.view = self._view_from_now()

    def rows(
        self, subscription: Subscription, since: AllocatedSince | None = None
    ) -> tuple[list[AllocationRow], AllocatedSince]:
        """Return what the subscriber sees, and the sums allocated so far.

        The allocated measures of the rows begin at ``since``, or where the view of the subscriber
        begins. Raises RuntimeError where the sampler does not run.
        """
        found = self._tables(subscription)
        if found is None:
            return [], AllocatedSince(0, {})
        view, tables = found
        here = AllocatedSince(_number(tables, "sums_begun"), allocated_sums(tables))
        start = since or AllocatedSince(view.sums_begun, view.baseline)
        baseline = start.sums if here.sums_begun == start.sums_begun else {}
        names = thread_names(self.sampler.threads())
        return rows_of(tables, baseline, self.sampler.now_ns(), names), here

    def live_sites(self, subscription: Subscription, limit: int) -> LiveSites:
        """Return the ``limit`` lines with most live bytes; see `rows`."""
        found = self._tables(subscription)
        return LiveSites((), 0.0, 0.0) if found is None else live_sites(found[1], limit)

    def _tables(self, subscription: Subscription) -> tuple[View, Mapping[str, bytes]] | None:
        sampler = self.sampler
        with self.guard():
            view = subscription.view
            if view is None:
                return None
            tables: Mapping[str, bytes] = sampler.site_tables(view.since)
            if _number(tables, "starts") != view.starts:
                tables = sampler.site_tables(0)
        return view, tables

    def _settle(self, seed: int = 0) -> None:
        """Make the sampler match the subscriptions.

        A signal handler may join or leave between any two steps here. It settles the sampler for
        the subscriptions it sees; the comparison at the end makes this call do it again.
        """
        while True:
            members = tuple(self._subscriptions)
            if members:
                interval_bytes = min(one.interval_bytes for one in members)
                self._run(interval_bytes, members[0].capacity, seed)
            else:
                self.sampler.stop()
            if members == tuple(self._subscriptions):
                return

    def _run(self, interval_bytes: int, capacity: int, seed: int) -> None:
        """Start the sampler, or set its interval if it runs already."""
        if not self.sampler.health()["running"]:
            try:
                self.sampler.start(interval_bytes, capacity, seed)
            except RuntimeError:  # a signal handler has started it since
                return self._run(interval_bytes, capacity, seed)
        elif interval_bytes != self._interval_bytes:
            self.sampler.set_interval(interval_bytes)
        self._interval_bytes = interval_bytes
        return None

    def _view_from_now(self) -> View:
        with OwnWork():
            tables = self.sampler.site_tables(_NOTHING_LIVE)
            return View(
                _number(tables, "starts"),
                _number(tables, "next_sequence"),
                _number(tables, "sums_begun"),
                allocated_sums(tables),
            )

    def _watch_forks(self) -> None:
        if not self._fork_watched and hasattr(os, "register_at_fork"):
            self._fork_watched = True
            shared = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _begin_in_child(shared()))

    def _begin_in_child(self) -> None:
        """In a forked child: sums are the parent's, what is alive lives here too.

        Runs in memlens's fork handler, or before it where the handler of another library uses a
        profiler.
        """
        self._lock, self._pid = threading.RLock(), os.getpid()
        with self._lock:
            if self._fork_watched:
                self.sampler.forget_sums()
                self._settle()  # the fork may have come amid a start or a stop


def _begin_in_child(shared: SharedSampler | None) -> None:
    if shared is not None:
        shared.guard()


def _number(tables: Mapping[str, bytes], name: str) -> int:
    number: int = memoryview(tables[name]).cast("Q")[0]
    return number


SHARED = SharedSampler()
