import gc
import shutil
import sys

import pytest

import memlens
import memlens.heap
from memlens._core import IMPLEMENTATION
from memlens.errors import MissingExtraError, NotInSnapshotError, OptionError


class Box:
    def __init__(self, content=None):
        self.content = content


SHELF = {}
OTHER = []


@pytest.fixture(autouse=True)
def empty_shelves():
    SHELF.clear()
    OTHER.clear()
    yield
    SHELF.clear()
    OTHER.clear()


def test_path_to_an_object_in_a_module_is_python_syntax():
    SHELF["a"] = Box()
    retention = memlens.why_alive(SHELF["a"])
    assert [str(path) for path in retention] == ["tests.heap.test_live.SHELF[<str>]"]
    assert "tests.heap.test_live.Box" in str(retention)


def test_each_independent_path_is_listed_once():
    box = Box()
    SHELF["a"] = box
    OTHER.append(box)
    del box
    paths = {str(path) for path in memlens.why_alive(OTHER[0])}
    assert paths == {"tests.heap.test_live.SHELF[<str>]", "tests.heap.test_live.OTHER[0]"}


def test_callers_own_variables_are_ignored():
    box = Box()
    assert len(memlens.why_alive(box)) == 0
    assert "Only the caller's own variables" in str(memlens.why_alive(box))


def test_variable_of_an_outer_function_is_a_path():
    def inner(holder):
        return memlens.why_alive(holder.content)

    def outer():
        held = Box(Box())
        return inner(held)

    if sys.version_info[:2] == (3, 11) and IMPLEMENTATION == "pure":
        pytest.skip("3.11 hides the variables of running functions from pure Python")
    (path, *_) = outer()
    assert "frame" in path.root


def test_retained_size_is_what_would_be_freed():
    SHELF["big"] = Box([bytearray(100_000) for _ in range(3)])
    size = memlens.retained_size(SHELF["big"])
    content = SHELF["big"].content
    expected = sum(map(sys.getsizeof, [content, *content, SHELF["big"]]))
    assert expected <= size <= expected + 400  # the instance's attributes are not in getsizeof


def test_shared_objects_are_not_retained():
    shared = bytearray(100_000)
    OTHER.append(shared)
    SHELF["box"] = Box(shared)
    del shared
    assert memlens.retained_size(SHELF["box"]) < 1000


def test_questions_change_no_reference_count_and_create_no_dict():
    box = Box(Box())
    SHELF["a"] = box
    before = sys.getrefcount(box), sys.getrefcount(box.content)
    referents = len(gc.get_referents(box))
    memlens.why_alive(box)
    memlens.retained_size(box)
    assert (sys.getrefcount(box), sys.getrefcount(box.content)) == before
    assert len(gc.get_referents(box)) == referents  # no __dict__ was made


def test_object_that_only_the_call_refers_to_is_refused():
    with pytest.raises(NotInSnapshotError, match="only the call itself"):
        memlens.why_alive(Box(content=12345678901))


def test_limit_below_one_is_refused():
    with pytest.raises(OptionError, match="at least 1"):
        memlens.why_alive(SHELF, limit=0)


@pytest.fixture
def thawed():
    """The collector does not show frozen objects as referrers, and the suite freezes its imports."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_find_live_path_finds_the_same_path_without_a_snapshot():
    SHELF["a"] = [Box()]
    path = memlens.heap.find_live_path(SHELF["a"][0])
    assert path is not None
    assert path.root.endswith("test_live")
    assert str(path) == "tests.heap.test_live.SHELF[<str>][0]"
    assert str(memlens.heap.find_live_path(SHELF["a"][0], values=True)).endswith(".SHELF['a'][0]")
    assert path.hops[-1].retained_bytes is None


@pytest.mark.usefixtures("thawed")
def test_find_live_path_names_the_attribute_of_an_instance():
    SHELF["a"] = Box([1])
    path = memlens.heap.find_live_path(SHELF["a"].content)
    assert str(path).endswith(".SHELF[<str>].content")


def test_find_live_path_is_none_without_a_module():
    assert memlens.heap.find_live_path([]) is None


def test_draw_referrers_writes_graphviz_text(tmp_path):
    SHELF["a"] = Box()
    target = tmp_path / "box.dot"
    assert memlens.heap.draw_referrers(SHELF["a"], target) == str(target)
    assert "digraph" in target.read_text()


def test_draw_referrers_does_not_write_through_a_planted_link(tmp_path):
    victim, target = tmp_path / "victim", tmp_path / "box.dot"
    victim.write_text("precious")
    target.symlink_to(victim)
    memlens.heap.draw_referrers(SHELF, target)
    assert victim.read_text() == "precious"
    assert "digraph" in target.read_text()


def test_draw_referrers_refuses_an_unknown_suffix(tmp_path):
    with pytest.raises(OptionError, match=r"use the suffix \.dot"):
        memlens.heap.draw_referrers(SHELF, tmp_path / "shelf.bmp")


def test_draw_referrers_without_graphviz_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingExtraError, match="Graphviz"):
        memlens.heap.draw_referrers(SHELF, tmp_path / "shelf.png")


def test_node_of_finds_an_object_and_refuses_a_later_one():
    SHELF["a"] = Box()
    snapshot = memlens.take_heap_snapshot()
    node = snapshot.node_of(SHELF["a"])
    assert node.type_name.endswith("test_live.Box")
    assert str(snapshot.retention_paths(node)[0]) == "tests.heap.test_live.SHELF[<str>]"
    later = [Box() for _ in range(50)]
    with pytest.raises(NotInSnapshotError, match="Box"):
        for box in later:
            snapshot.node_of(box)
