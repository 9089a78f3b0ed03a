"""The one sampler of the process, shared by subscription.

The first subscriber starts it, the last one stops it. Each sees only what happened since it came:
it keeps the number of its first sample and the sums allocated before.
"""

from __future__ import annotations

from types import ModuleType

from memlens._core.sampler_api import load_sampler
from memlens._fork import ForkSafeLock, call_in_forked_child
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.sampling.site_tables import (
    AllocatedSums,
    allocated_sums,
    rows_of,
    thread_names,
)

__all__ = ("SHARED", "SharedSampler", "Subscription")

_NOTHING_LIVE = (1 << 64) - 1  # no sample has this number


class Subscription:
    """One subscriber's part: its interval, and where its view begins."""

    __slots__ = ("__weakref__", "baseline", "interval_bytes", "since")

    def __init__(self, interval_bytes: int) -> None:
        self.interval_bytes = interval_bytes
        self.since = 0
        self.baseline: AllocatedSums = {}


class SharedSampler:
    """Starts, shares and stops the C sampler. There is one, `SHARED`: hooks are the process's."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._subscriptions: list[Subscription] = []
        self._fork_watched = False

    @property
    def sampler(self) -> ModuleType:
        """The C sampler. Raises ImportError where there is none."""
        return load_sampler()

    def join(self, interval_bytes: int, capacity: int, seed: int) -> Subscription:
        """Add a subscriber. The smallest interval of all holds; ``capacity`` is the first one's."""
        subscription = Subscription(interval_bytes)
        with self._lock:
            self._watch_forks()
            if not self._subscriptions:
                self.sampler.start(interval_bytes, capacity, seed)
            else:
                self._begin_here(subscription)
                if interval_bytes < min(other.interval_bytes for other in self._subscriptions):
                    self.sampler.set_interval(interval_bytes)
            self._subscriptions.append(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Take a subscriber out; one that is not in is let go."""
        with self._lock:
            if subscription not in self._subscriptions:
                return
            self._subscriptions.remove(subscription)
            if not self._subscriptions:
                self.sampler.stop()
                return
            smallest = min(other.interval_bytes for other in self._subscriptions)
            if subscription.interval_bytes < smallest:
                self.sampler.set_interval(smallest)

    def restart(self, subscription: Subscription) -> None:
        """Restart a subscriber's view, or all views if lost hooks have to be installed again."""
        with self._lock:
            if "bypassed" in self.sampler.health().values():
                self._start_again()
            else:
                self._begin_here(subscription)

    def rows(self, subscription: Subscription) -> list[AllocationRow]:
        """Return what the subscriber sees."""
        sampler = self.sampler
        # Under the lock, or a fork might change the baseline in between.
        with self._lock:
            tables = sampler.site_tables(subscription.since)
            baseline = dict(subscription.baseline)
        return rows_of(tables, baseline, sampler.now_ns(), thread_names(sampler.threads()))

    @property
    def subscribers(self) -> int:
        """How many profilers share the sampler now."""
        return len(self._subscriptions)

    def _start_again(self) -> None:
        """Samples from before are worthless: frees were missed."""
        capacity = self.sampler.health()["capacity"]
        self.sampler.stop()
        interval_bytes = min(other.interval_bytes for other in self._subscriptions)
        self.sampler.start(interval_bytes, capacity, 0)
        for subscription in self._subscriptions:
            subscription.since, subscription.baseline = 0, {}

    def _begin_here(self, subscription: Subscription) -> None:
        tables = self.sampler.site_tables(_NOTHING_LIVE)
        subscription.baseline = allocated_sums(tables)
        subscription.since = memoryview(tables["next_sequence"]).cast("Q")[0]

    def _watch_forks(self) -> None:
        if not self._fork_watched:
            self._fork_watched = True
            call_in_forked_child(self.begin_in_child)

    def begin_in_child(self) -> None:
        """In a forked child: sums are the parent's, what is alive lives here too."""
        if self._subscriptions:
            self.sampler.forget_sums()
        elif self.sampler.health()["running"]:
            self.sampler.stop()  # the fork came between a start and its subscription, or the like
        for subscription in self._subscriptions:
            subscription.baseline = {}


SHARED = SharedSampler()
