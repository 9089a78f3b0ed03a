"""Types and patterns that only live objects have: generated classes, futures, stores of a library."""

import concurrent.futures
import re

import pytest

import memlens

pytestmark = pytest.mark.small_process

HELD: dict[str, list] = {}


class Schema:
    pass


def make_class(number):
    made = type(f"Schema{number}", (Schema,), {"fields": [number]})
    HELD["classes"].append(made)


def make_instance(number):
    made = type(f"Row{number}", (Schema,), {})
    HELD["rows"].append(made())


def finish_future(number):
    future = concurrent.futures.Future()
    future.set_result([number])
    HELD["done"].append(future)


def wait_for_future(number):
    HELD["pending"].append(concurrent.futures.Future())


@pytest.fixture
def suspect_of():
    """Run a step between snapshots and return the suspect for its container."""

    def find(key, step):
        HELD[key] = []
        snapshots = []
        for number in range(4):
            for i in range(20):
                step(100 * number + i)
            snapshots.append(memlens.take_heap_snapshot())
        wanted = re.escape(f"HELD['{key}']"), re.escape("HELD[<str>]")
        found = memlens.find_leaks(snapshots)
        return next(s for s in found if re.search("|".join(wanted), s.holder))

    yield find
    HELD.clear()


def test_a_registry_of_generated_classes_tells_their_number_and_their_base(suspect_of):
    suspect = suspect_of("classes", make_class)
    assert suspect.pattern == "registry"
    assert f"60 classes made at run time, subclasses of {__name__}.Schema" in suspect.evidence


def test_instances_of_generated_classes_are_named_after_the_base(suspect_of):
    suspect = suspect_of("rows", make_instance)
    assert suspect.growing_types[0] == f"{__name__}.Schema"
    assert not [name for name in suspect.growing_types if re.search(r"Row\d", name)]


def test_finished_futures_are_detached_and_pending_ones_are_not(suspect_of):
    assert suspect_of("done", finish_future).pattern == "detached"
    assert suspect_of("pending", wait_for_future).pattern == "registry"
