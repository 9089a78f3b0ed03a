"""@cached: functions, methods, freed instances, sync and async."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import pickle
import weakref

import pytest

from memlens.structures import cached


class Plain:
    def __init__(self):
        self.calls = 0

    @cached
    def double(self, number):
        """Double."""
        self.calls += 1
        return (self, 2 * number)  # refers back on purpose

    __hash__ = None


class Slotted:
    __slots__ = ("__weakref__", "calls")

    def __init__(self):
        self.calls = 0

    @cached
    def double(self, number):
        self.calls += 1
        return 2 * number


class Bare:
    __slots__ = ()

    @cached
    def one(self):
        return 1


def test_function_is_called_once_for_equal_arguments():
    calls = []

    @cached(max_entries=2)
    def add(a, b=0, *, c=0, d=0):
        """Add."""
        calls.append(1)
        return a + b + c + d

    assert [add(1, c=2, d=3), add(1, d=3, c=2), add(1, 2), add((1,) and 1, 2)] == [6, 6, 3, 3]
    assert len(calls) == 2
    assert add.__name__ == "add"
    assert add.__doc__ == "Add."
    assert add.cache.stats().hits == 2
    assert add.cache.stats().misses == 2
    add.cache.clear()
    assert add(1, 2) == 3
    assert len(calls) == 3


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_method_has_a_cache_per_instance_and_keeps_no_instance_alive(kind):
    first, second = kind(), kind()
    for _ in range(3):
        first.double(4)
        second.double(4)
    assert (first.calls, second.calls) == (1, 1)
    assert len(kind.double.cache_of(first)) == 1
    reference = weakref.ref(first)
    del first
    gc.collect()
    assert reference() is None
    assert second.double(4) is not None
    assert second.calls == 1


def test_copies_start_with_an_empty_cache():
    original = Plain()
    original.double(1)
    for twin in (
        copy.copy(original),
        copy.deepcopy(original),
        pickle.loads(pickle.dumps(original)),
    ):
        assert twin.double(1)[0] is twin
        assert original.double(1)[0] is original


def test_instance_without_dict_and_weak_references_is_refused():
    with pytest.raises(TypeError, match="__weakref__"):
        Bare().one()


def test_unhashable_arguments_are_refused():
    @cached
    def length(items):
        return len(items)

    with pytest.raises(TypeError, match="key=") as caught:
        length([1])
    assert "unhashable" in str(caught.value)
    assert cached(key=tuple)(len)([1, 2]) == 2


def test_generators_and_descriptors_are_refused():
    def generate():
        yield 1

    with pytest.raises(TypeError, match="generator"):
        cached(generate)
    with pytest.raises(TypeError, match="below"):
        cached(classmethod(len))
    with pytest.raises(ValueError, match="max_entries"):
        cached(max_entries=0)


def test_static_and_class_methods_can_be_cached():
    class Holder:
        @staticmethod
        @cached
        def plain(number):
            return [number]

        @classmethod
        @cached
        def of_class(cls, number):
            return [cls, number]

    assert Holder.plain(1) is Holder().plain(1)
    assert Holder.of_class(1) is Holder.of_class(1)
    assert Holder.of_class(1) == [Holder, 1]


def test_tasks_share_one_computation_and_its_error():
    calls = []

    class Service:
        @cached
        async def fetch(self, number):
            calls.append(number)
            await asyncio.sleep(0)
            if number < 0:
                raise OSError(number)
            return [number]

    async def main():
        service = Service()
        results = await asyncio.gather(*(service.fetch(1) for _ in range(5)))
        assert all(result is results[0] for result in results)
        errors = await asyncio.gather(
            *(service.fetch(-1) for _ in range(5)), return_exceptions=True
        )
        assert {type(error) for error in errors} == {OSError}
        assert calls == [1, -1]

    asyncio.run(main())


def test_waiting_task_computes_after_a_cancellation():
    calls = []

    @cached
    async def fetch():
        calls.append(1)
        await asyncio.sleep(0 if len(calls) > 1 else 3600)
        return "done"

    async def main():
        first = asyncio.create_task(fetch())
        await asyncio.sleep(0)
        others = [asyncio.create_task(fetch()) for _ in range(3)]
        await asyncio.sleep(0)
        others[0].cancel()
        first.cancel()
        done = await asyncio.gather(first, *others, return_exceptions=True)
        assert done[2:] == ["done", "done"]
        assert len(calls) == 2

    asyncio.run(main())
    knows_marks = hasattr(inspect, "markcoroutinefunction")  # Python 3.12
    module = inspect if knows_marks else asyncio
    assert module.iscoroutinefunction(fetch)
