"""@cached against a model: cached results by instance, with their age."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import OrderedDict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memlens.structures import cached

MAX_ENTRIES, TTL = 3, 10.0
numbers = st.integers(0, 5)


class Refused(Exception):
    pass


def make_service(clock):
    class Service:
        """Counts computations. A result refers to its service, as results of methods often do."""

        def __init__(self):
            self.calls = []

        def compute(self, name, number):
            self.calls.append((name, number))
            if number == 5:
                raise Refused(number)
            return self, number, len(self.calls)

        @cached(max_entries=MAX_ENTRIES, ttl=TTL, clock=clock)
        def plain(self, number):
            return self.compute("plain", number)

        @cached(max_entries=MAX_ENTRIES, ttl=TTL, clock=clock)
        async def later(self, number):
            await asyncio.sleep(0)
            return self.compute("later", number)

    return Service


class Model:
    """The cache of one method of one instance: the newest entries with their expiry."""

    def __init__(self):
        self.entries = OrderedDict()  # number -> (result, when it expires)

    def get(self, number, now):
        result, expires = self.entries.get(number, (None, 0.0))
        if expires <= now:
            self.entries.pop(number, None)
            return None
        self.entries.move_to_end(number)
        return result

    def put(self, number, result, now):
        self.entries[number] = result, now + TTL
        self.entries.move_to_end(number)
        if len(self.entries) > MAX_ENTRIES:
            self.entries.popitem(last=False)


class CachedAgainstModel(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.service_class = make_service(lambda: self.now)
        self.services = [self.service_class()]
        self.models = [{"plain": Model(), "later": Model()}]
        self.gone = []

    @precondition(lambda self: len(self.services) < 3)
    @rule()
    def another_instance(self):
        self.services.append(self.service_class())
        self.models.append({"plain": Model(), "later": Model()})

    @precondition(lambda self: self.services)
    @rule(position=st.integers(0, 2), number=numbers, name=st.sampled_from(["plain", "later"]))
    def call(self, position, number, name):
        position %= len(self.services)
        service, model = self.services[position], self.models[position][name]
        known, before = model.get(number, self.now), len(service.calls)
        if known is None and number == 5:
            with pytest.raises(Refused):
                self.result_of(service, name, number)
            assert len(service.calls) == before + 1  # an error is not cached
            return
        result = self.result_of(service, name, number)
        if known is not None:
            assert result is known
            assert len(service.calls) == before
            return
        assert service.calls[before:] == [(name, number)]
        model.put(number, result, self.now)

    def result_of(self, service, name, number):
        if name == "plain":
            return service.plain(number)

        async def together():
            return await asyncio.gather(*(service.later(number) for _ in range(3)))

        first, *others = asyncio.run(together())
        assert all(other is first for other in others)
        return first

    @precondition(lambda self: self.services)
    @rule(position=st.integers(0, 2))
    def forget(self, position):
        position %= len(self.services)
        self.service_class.plain.cache_of(self.services[position]).clear()
        self.models[position]["plain"] = Model()

    @precondition(lambda self: self.services)
    @rule(position=st.integers(0, 2))
    def drop_an_instance(self, position):
        service = self.services.pop(position % len(self.services))
        self.models.pop(position % (len(self.services) + 1))
        self.gone.append(weakref.ref(service))
        del service
        gc.collect()
        assert self.gone[-1]() is None

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def each_cache_is_bounded(self):
        for service in self.services:
            assert len(self.service_class.plain.cache_of(service)) <= MAX_ENTRIES


CachedAgainstModel.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None
)
TestCachedAgainstModel = pytest.mark.usefixtures("frozen_heap")(CachedAgainstModel.TestCase)
