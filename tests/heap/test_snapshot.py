import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag
from memlens.errors import ComparisonError, NotInSnapshotError, OptionError
from memlens.heap.snapshot import compare_snapshots
from tests.heap.planted import Planter
from tests.heap.test_graph import service


def rows(view):
    return {row.name: (row.count, row.shallow_bytes, row.retained_bytes) for row in view}


def test_summary_has_count_and_sizes_of_each_type():
    summary = rows(service().snapshot().summary())
    assert summary["app.Session"] == (2, 100, 2100)
    assert summary["bytearray"] == (2, 2000, 2000)


def test_nested_objects_of_a_type_are_retained_once():
    p = Planter()
    outer, inner = p.node("list", 100), p.node("list", 10)
    p.edge(outer, inner, K.INDEX)
    p.module("app", outer=outer)
    assert rows(p.snapshot().summary())["list"] == (2, 110, 110)


def test_garbage_and_objects_of_memlens_are_left_out():
    p = Planter()
    p.node("app.Lost", 77, flags=NodeFlag.GARBAGE)
    ours = p.node("memlens.Thing", 55, flags=NodeFlag.OWN)
    p.module("app", ours=ours)
    snapshot = p.snapshot()
    assert not {"app.Lost", "memlens.Thing"} & rows(snapshot.summary()).keys()
    assert rows(snapshot.garbage()) == {"app.Lost": (1, 77, 77)}
    assert not any(node.type_name.startswith("memlens") for node in snapshot.largest(50))


def test_largest_is_sorted_by_retained_size():
    largest = service().snapshot().largest(3)
    assert [node.type_name for node in largest] == ["module", "dict", "app.Registry"]
    sizes = [node.retained_bytes for node in largest]
    assert sizes == sorted(sizes, reverse=True)


def test_largest_of_a_file_agrees_with_the_snapshot(tmp_path):
    from memlens.heap.snapshot import HeapSnapshot

    original = service().snapshot()
    original.save(tmp_path / "x.memlens")
    loaded = HeapSnapshot.load(tmp_path / "x.memlens")
    assert "node_largest" in loaded.graph.sections
    for count in (1, 3, 1000, 1001):
        expected = [node.index for node in original.largest(count)]
        assert [node.index for node in loaded.largest(count)] == expected
    assert "dominators" not in vars(HeapSnapshot.load(tmp_path / "x.memlens").graph)


def test_largest_includes_garbage_on_request():
    p = Planter()
    lost = p.node("app.Lost", 10_000, flags=NodeFlag.GARBAGE)
    p.module("app")
    assert lost not in {node.index for node in p.snapshot().largest(9)}
    assert p.snapshot().largest(1, include_garbage=True)[0].index == lost


def test_node_at_finds_the_node_of_a_path():
    snapshot = service().snapshot()
    for text in ("app", "app.registry", "app.registry._sessions", "app.registry._sessions['ada']"):
        node = snapshot.node_at(text)
        assert str(snapshot.path_to(node)) == text
    assert snapshot.node_at("app.registry._sessions['ada'].buffer").type_name == "bytearray"
    for text in ("", "app.", "app.nothing", "nowhere", "app.registry._sessions['eve']"):
        assert snapshot.node_at(text) is None


def test_node_at_ends_in_a_cyclic_graph():
    p = Planter()
    a = p.node("app.A")
    p.edge(a, a, K.INTERNAL, "cell_contents")
    p.module("app", a=a)
    assert p.snapshot().node_at("app.a.b") is None


def test_unknown_grouping_and_limit_below_one_are_refused():
    snapshot = service().snapshot()
    with pytest.raises(OptionError, match="colour"):
        snapshot.summary(by="colour")
    with pytest.raises(OptionError, match="at least 1"):
        snapshot.largest(0)


def test_node_of_another_snapshot_or_out_of_range_is_refused():
    snapshot, other = service().snapshot(), service().snapshot()
    with pytest.raises(NotInSnapshotError, match="another snapshot"):
        snapshot.retention_paths(other.largest(1)[0])
    for index in (0, -1, 10_000):
        with pytest.raises(NotInSnapshotError, match="there is no node"):
            snapshot.retention_paths(index)


def test_lines_of_views_have_at_most_100_columns():
    p = Planter()
    thing = p.node("app." + "Long" * 60, 10)
    p.module("app", thing=thing)
    for view in (p.snapshot().summary(), p.snapshot().garbage(), p.snapshot().largest(1)[0]):
        assert all(len(line) <= 100 for line in str(view).splitlines())


def grown(sessions, **facts):
    p = Planter()
    table = p.node("dict", 100 + 8 * len(sessions), key="table", length=len(sessions))
    for name in sessions:
        p.edge(table, p.node("app.Session", 50, key=name), K.KEY, "<str>")
    p.module("app", table=table)
    return p.snapshot(**facts)


def test_comparison_counts_new_and_deleted_objects_by_identity():
    comparison = compare_snapshots(grown(["a", "b"]), grown(["b", "c", "d"], timestamp=60.0))
    change = {c.type_name: c for c in comparison}["app.Session"]
    assert (change.count_before, change.count_after) == (2, 3)
    assert (change.new_count, change.deleted_count, change.count_delta) == (2, 1, 1)
    assert change.shallow_delta_bytes == 50
    assert change.growth_percent == 50.0
    assert comparison.seconds == 60.0
    table = {c.type_name: c for c in comparison}["dict"]
    assert table.retained_delta_bytes == 50 + 8
    assert "app.Session" in str(comparison)


def test_snapshots_of_two_processes_cannot_be_compared():
    with pytest.raises(ComparisonError, match="different processes"):
        compare_snapshots(grown(["a"]), grown(["a"], pid=2))


def test_only_snapshots_can_be_compared():
    with pytest.raises(OptionError, match="str"):
        compare_snapshots(grown(["a"]), "later")


def test_container_that_only_grew_is_in_the_table():
    comparison = compare_snapshots(grown(["a"]), grown(["a", "b"]))
    change = {c.type_name: c for c in comparison}["dict"]
    assert (change.new_count, change.deleted_count, change.shallow_delta_bytes) == (0, 0, 8)
    assert "dict" in comparison.table()


def test_object_that_became_garbage_is_counted_as_deleted():
    def heap(flags):
        p = Planter()
        p.module("app", a=p.node("app.A", 10, key="a", flags=flags))
        return p.snapshot()

    lost = compare_snapshots(heap(0), heap(NodeFlag.GARBAGE))
    change = {c.type_name: c for c in lost}["app.A"]
    assert (change.new_count, change.deleted_count, change.count_after) == (0, 1, 0)
    found = compare_snapshots(heap(NodeFlag.GARBAGE), heap(0))
    change = {c.type_name: c for c in found}["app.A"]
    assert (change.new_count, change.deleted_count, change.count_before) == (1, 0, 0)


def test_find_refuses_what_cannot_be_called():
    with pytest.raises(OptionError, match="matches must be a function"):
        Planter().snapshot().find("app.A")
