import re
from itertools import pairwise

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens._frame import Frame
from memlens.errors import ComparisonError, OptionError
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.leaks import suspects
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter

ROUNDS = 4


def series(plant, rounds=ROUNDS, step=10, **facts):
    """Snapshots of a heap that ``plant(planter, n)`` makes, n growing by ``step`` a round."""
    snapshots = []
    for number in range(1, rounds + 1):
        p = Planter()
        plant(p, number * step)
        snapshots.append(p.snapshot(timestamp=3600.0 * number, **facts))
    return snapshots


def table_of(p, n, type_name="app.Session", container="dict", kind=K.KEY, **options):
    table = p.node(container, 64 + 8 * n, key="table", length=n, **options)
    for i in range(n):
        if kind is K.KEY:
            p.edge(table, p.node("str", 50, key=("key", i)), K.ITEM)
        value = p.node(type_name, 100, key=("value", i))
        p.edge(table, value, kind, "<str>", position=i)
    return table


def leaking_dict(p, n):
    p.module("app", sessions=table_of(p, n))


def test_a_dict_that_grows_in_every_interval_is_the_suspect():
    (suspect,) = find_leaks(series(leaking_dict))
    assert suspect.holder == "app.sessions"
    assert suspect.holder_type == "dict"
    assert str(suspect.path) == "app.sessions"
    assert suspect.growing_types == ("app.Session", "str")
    assert suspect.count_growth == 30
    assert suspect.retained_growth_bytes == 30 * 150 + 30 * 8
    assert suspect.growth_bytes_per_hour == pytest.approx(30 * 158 / 3)
    assert suspect.pattern == "unbounded-cache"
    assert "LRUCache" in suspect.suggestion


def test_the_order_of_the_snapshots_given_does_not_matter():
    snapshots = series(leaking_dict)
    assert str(find_leaks(snapshots[::-1])[0]) == str(find_leaks(snapshots)[0])


def test_a_dict_that_stopped_growing_is_none():
    sizes = iter([10, 20, 30, 30])
    snapshots = series(lambda p, n: leaking_dict(p, next(sizes)))
    assert list(find_leaks(snapshots)) == []


def test_entries_that_come_and_go_are_none():
    def rolling(p, n):
        table = p.node("dict", 100, key="table", length=10)
        for i in range(n, n + 10):
            p.edge(table, p.node("app.Session", 100, key=i), K.KEY, "<str>")
        p.module("app", recent=table)

    assert list(find_leaks(series(rolling))) == []


@pytest.mark.parametrize("container", ["collections.deque", "functools._lru_cache_wrapper"])
def test_what_states_a_bound_is_none_even_while_it_fills(container):
    def bounded(p, n):
        table = p.node(container, 100, key="table", length=n, bound=1000)
        for i in range(n):
            p.edge(table, p.node("app.Page", 100, key=i), K.INDEX, position=i)
        p.module("app", pages=table)

    assert list(find_leaks(series(bounded))) == []


@pytest.mark.parametrize(("step", "holders"), [(5, []), (50, ["re._cache"])])
def test_a_table_of_the_standard_library_is_none_below_its_cap(step, holders):
    def compiled(p, n):
        p.module("re", _cache=table_of(p, n * step, "re.Pattern"))

    assert [suspect.holder for suspect in find_leaks(series(compiled))] == holders


def test_an_unbounded_lru_cache_is_named_by_the_cache_not_by_its_table():
    def cache(p, n):
        wrapper = p.node("functools._lru_cache_wrapper", 100, key="lru", length=n)
        p.edge(wrapper, table_of(p, n, "app.Report"), K.INTERNAL, "cache")
        p.module("app", total=wrapper)

    (suspect,) = find_leaks(series(cache))
    assert suspect.holder == "app.total"
    assert suspect.pattern == "unbounded-cache"


def test_a_list_that_only_gained_memlens_objects_is_none():
    def own(p, n):
        snapshots = p.node("list", 100, key="list", length=n)
        for i in range(n):
            value = p.node("memlens.heap.snapshot.HeapSnapshot", 100, key=i, flags=NodeFlag.OWN)
            p.edge(snapshots, value, K.INDEX, position=i)
        p.module("app", snapshots=snapshots)

    assert list(find_leaks(series(own))) == []


def test_what_two_holders_share_is_shared_out():
    def twice(p, n):
        left = p.node("dict", 100, key="left", length=n)
        right = p.node("dict", 100, key="right", length=n)
        for i in range(n):
            value = p.node("app.Model", 100, key=i)
            p.edge(left, value, K.KEY, "<str>")
            p.edge(right, value, K.KEY, "<str>")
        p.module("app", left=left, right=right)

    suspects = find_leaks(series(twice))
    assert {s.holder for s in suspects} == {"app.left", "app.right"}
    assert sum(s.retained_growth_bytes for s in suspects) == 30 * 100


def test_a_holder_inside_another_that_gained_the_same_is_not_told_twice():
    def nested(p, n):
        outer = p.node("dict", 100, key="outer", length=n + 1)
        inner = p.node("dict", 100, key="inner", length=n)
        p.edge(outer, inner, K.KEY, "<str>")
        for i in range(n):
            value = p.node("logging.Logger", 100, key=i)
            p.edge(outer, value, K.KEY, "<str>")
            p.edge(inner, value, K.KEY, "<object>")
        p.module("app", loggers=outer)

    assert [s.holder for s in find_leaks(series(nested))] == ["app.loggers"]


def test_the_larger_share_comes_first():
    def two(p, n):
        small = p.node("set", 100, key="small", length=n)
        for i in range(n):
            p.edge(small, p.node("int", 28, key=("int", i)), K.ITEM)
        p.module("app", sessions=table_of(p, n), small=small)

    assert [s.holder for s in find_leaks(series(two))] == ["app.sessions", "app.small"]


def test_a_tuple_replaced_by_a_longer_one_each_time_is_found_by_its_slot():
    def replaced(p, n):
        owner = p.node("app.Log", 48, key="log")
        lines = p.node("tuple", 40 + 8 * n, key=("tuple", n), length=n)
        for i in range(n):
            p.edge(lines, p.node("app.Line", 100, key=i), K.INDEX, position=i)
        p.edge(owner, lines, K.ATTRIBUTE, "lines")
        p.module("app", log=owner)

    (suspect,) = find_leaks(series(replaced))
    assert suspect.holder == "app.log.lines"
    assert suspect.growing_types[0] == "app.Line"


def chained(link_type, head_type, slot, next_name):
    def plant(p, n):
        head = p.node(head_type, 48, key="head")
        links = [p.node(link_type, 64, key=i) for i in range(n)]
        for newer, older in zip(links[1:], links[:-1], strict=True):
            p.edge(newer, older, K.ATTRIBUTE, next_name)
        p.edge(head, links[-1], K.ATTRIBUTE, slot)
        p.module("app", head=head)

    return plant


def test_an_exception_that_collects_tracebacks_is_named_at_its_head():
    plant = chained("traceback", "PermissionError", "__traceback__", "tb_next")
    (suspect,) = find_leaks(series(plant))
    assert suspect.holder == "app.head.__traceback__"
    assert suspect.holder_type == "PermissionError"
    assert suspect.pattern == "exception-traceback"
    assert suspect.growing_types == ("traceback",)


def test_a_chain_in_which_each_keeps_its_predecessor_is_one_suspect():
    (suspect,) = find_leaks(series(chained("app.State", "app.Machine", "state", "previous")))
    assert suspect.pattern == "chain"
    assert suspect.holder == "app.head.state"
    assert suspect.count_growth == 30


def test_a_chain_that_grows_at_its_tail_is_named_at_its_head_too():
    def appended(p, n):
        head = p.node("app.Queue", 48, key="head")
        links = [p.node("app.Link", 64, key=i) for i in range(n)]
        p.edge(head, links[0], K.ATTRIBUTE, "first")
        for older, newer in pairwise(links):
            p.edge(older, newer, K.ATTRIBUTE, "next")
        p.module("app", queue=head)

    (suspect,) = find_leaks(series(appended))
    assert suspect.pattern == "chain"
    assert suspect.holder.startswith("app.queue")
    assert suspect.holder_type == "app.Queue"


def test_a_namespace_that_gains_names_is_not_told_to_be_an_lru_cache():
    """A runner of cells sets Out_1, Out_2... in its own globals."""

    def cells(p, n):
        module = p.node("module", 64, key="module")
        names = p.node("dict", 232, key="names", flags=NodeFlag.NAMESPACE, length=n)
        p.edge(module, names, K.INTERNAL, "__dict__")
        for i in range(n):
            p.edge(names, p.node("str", 50, key=("name", i)), K.ITEM)
            p.edge(names, p.node("list", 88, key=("out", i)), K.ATTRIBUTE, f"Out_{i}")
        p.root(module, name="notebook")

    (suspect,) = find_leaks(series(cells, step=40))
    assert suspect.holder == "notebook.__dict__"
    assert suspect.growing_types[0] == "list"
    assert "LRUCache" not in suspect.suggestion
    assert "names are set to list objects" in suspect.evidence


@pytest.mark.parametrize(("count", "first"), [(1, "list"), (40, "app.Plugin")])
def test_what_came_by_the_way_is_not_the_first_of_the_growing_types(count, first):
    def plant(p, n):
        table = p.node("dict", 64 + 8 * n, key="table", length=n)
        for i in range(n):
            p.edge(table, p.node("str", 50, key=("key", i)), K.ITEM)
            kind = "app.Plugin" if n > 300 and i >= n - count else "list"
            p.edge(table, p.node(kind, 100, key=("value", i)), K.KEY, "<str>")
        p.module("app", outputs=table)

    (suspect,) = find_leaks(series(plant, step=100))
    assert suspect.growing_types[0] == first


@pytest.mark.parametrize(
    ("pattern", "value", "container", "kind", "flags"),
    [
        ("detached", "_asyncio.Task", "set", K.ITEM, NodeFlag.FINISHED),
        ("registry", "app.Meta", "list", K.INDEX, NodeFlag.HEAP_TYPE),
        ("registry", "app.Plugin", "list", K.INDEX, 0),
        ("listener-accumulation", "method", "list", K.INDEX, 0),
        ("unbounded-cache", "str", "set", K.ITEM, 0),
    ],
)
def test_plain_patterns_are_recognised(pattern, value, container, kind, flags):
    def plant(p, n):
        table = p.node(container, 100, key="table", length=n)
        for i in range(n):
            p.edge(table, p.node(value, 100, key=i, flags=flags), kind, position=i)
        p.module("app", things=table)

    (suspect,) = find_leaks(series(plant))
    assert suspect.pattern == pattern
    assert suspect.suggestion


def test_a_closure_that_captures_much_is_named_with_the_variable():
    def plant(p, n):
        hooks = p.node("list", 100, key="hooks", length=n)
        for i in range(n):
            function, cells = (
                p.node("function", 136, key=("f", i)),
                p.node("tuple", 48, key=("t", i)),
            )
            cell, payload = p.node("cell", 40, key=("c", i)), p.node("bytes", 9000, key=("b", i))
            p.edge(hooks, function, K.INDEX, position=i)
            p.edge(function, cells, K.INTERNAL, "__closure__")
            p.edge(cells, cell, K.CELL, "payload")
            p.edge(cell, payload, K.INTERNAL, "cell_contents")
        p.module("app", hooks=hooks)

    (suspect,) = find_leaks(series(plant))
    assert suspect.pattern == "closure-capture"
    assert "'payload'" in suspect.suggestion


def test_the_functions_that_use_the_holder_are_named():
    def plant(p, n):
        code = p.node("code", 200, key="code")
        names = p.node("tuple", 48, key="names", length=1)
        p.edge(code, names, K.INTERNAL, "co_names")
        p.edge(names, p.node("str", 50, key="name"), K.INTERNAL, "sessions")
        p.names[code] = (p.text("open_session"), p.text("/srv/app.py"), 31)
        p.module("app", sessions=table_of(p, n), code=code)

    (suspect,) = find_leaks(series(plant))
    assert "open_session (/srv/app.py:31)" in suspect.suggestion


def test_holders_can_be_ignored_by_pattern_and_by_size():
    snapshots = series(leaking_dict)
    assert list(find_leaks(snapshots, ignore=[r"app\.sess"])) == []
    assert len(find_leaks(snapshots, ignore=[r"^other"])) == 1
    assert list(find_leaks(snapshots, min_growth_bytes=10_000_000)) == []


def test_bad_options_are_refused():
    snapshots = series(leaking_dict)
    for options in ({"limit": 0}, {"min_growth_bytes": -1}, {"ignore": ["("]}, {"ignore": "app"}):
        with pytest.raises(OptionError):
            find_leaks(snapshots, **options)
    with pytest.raises(OptionError, match="int"):
        find_leaks([1, 2])


def test_one_snapshot_or_two_processes_are_refused():
    snapshots = series(leaking_dict)
    with pytest.raises(ComparisonError, match="at least two"):
        find_leaks(snapshots[:1])
    with pytest.raises(ComparisonError, match="different processes"):
        find_leaks([snapshots[0], *series(leaking_dict, pid=2)])


def test_a_report_reads_in_plain_lines_of_at_most_100_columns_and_as_json():
    report = find_leaks(series(leaking_dict))
    text = str(report)
    assert "app.sessions grows: +30 elements" in text
    assert re.search(r"what to do\s+Bound it", text)
    assert all(len(line) <= 100 for line in text.splitlines())
    assert report.to_dict()["suspects"][0]["holder"] == "app.sessions"


def test_a_report_without_a_leak_says_so():
    sizes = iter([10, 10, 10, 10])
    report = find_leaks(series(lambda p, n: leaking_dict(p, next(sizes))))
    assert "No leak" in str(report)


def test_a_container_that_came_after_the_first_snapshot_is_named_itself():
    def late(p, n):
        p.module("app", **({} if n == 10 else {"cache": table_of(p, n)}))

    (suspect,) = find_leaks(series(late))
    assert suspect.holder == "app.cache"
    assert suspect.pattern == "unbounded-cache"


def test_many_containers_of_one_place_that_grow_a_little_are_one_suspect():
    def sessions(p, n):
        table = p.node("dict", 100, key="table", length=20)
        for one in range(20):
            count = n // 10 + (1 if one < n // 10 else 0)
            history = p.node("list", 56, key=("list", one), length=count)
            p.edge(table, history, K.KEY, "<str>")
            for i in range(count):
                p.edge(history, p.node("app.Event", 100, key=(one, i)), K.INDEX, position=i)
        p.module("app", histories=table)

    (suspect,) = find_leaks(series(sessions))
    assert suspect.holder == "app.histories[*]"
    assert suspect.growing_types == ("app.Event",)
    assert suspect.count_growth == 20 * 3 + 3
    assert "20 containers" in suspect.evidence


def test_many_containers_that_fill_and_are_flushed_are_none():
    fill = [[5, 3, 8, 2, 9, 1], [2, 9, 3, 8, 1, 6], [9, 1, 9, 3, 7, 3], [1, 7, 8, 8, 2, 7]]

    def batches(p, n):
        table = p.node("dict", 100, key="table", length=6)
        for one, count in enumerate(fill[n // 10 - 1]):
            rows = p.node("list", 56, key=("list", one), length=count)
            p.edge(table, rows, K.KEY, "<str>")
            for i in range(count):
                p.edge(rows, p.node("app.Row", 100, key=(n, one, i)), K.INDEX, position=i)
        p.module("app", batches=table)

    assert list(find_leaks(series(batches))) == []


def test_a_buffer_that_grows_in_its_own_memory_is_named():
    def audit(p, n):
        p.module("app", audit=p.node("_io.BytesIO", 100 + n * 100, key="audit"))

    (suspect,) = find_leaks(series(audit))
    assert (suspect.holder, suspect.growing_types) == ("app.audit", ("_io.BytesIO",))
    assert (suspect.count_growth, suspect.retained_growth_bytes) == (0, 3000)
    assert "elements" not in str(suspect)


def test_a_text_of_random_length_is_no_leak_though_it_may_rise():
    sizes = {10: 1000, 20: 1010, 30: 5000, 40: 5020}

    def message(p, n):
        owner = p.node("app.State", 48, key="state")
        p.edge(owner, p.node("str", sizes[n], key=n), K.ATTRIBUTE, "last")
        p.module("app", state=owner)

    assert list(find_leaks(series(message))) == []


def test_a_list_filled_anew_each_time_is_no_leak_though_it_may_be_longer():
    def anew(p, n):
        owner = p.node("app.State", 48, key="state")
        rows = p.node("list", 48, key=("rows", n), length=n)
        for i in range(n):
            p.edge(rows, p.node("app.Row", 100, key=(n, i)), K.INDEX, position=i)
        p.edge(owner, rows, K.ATTRIBUTE, "rows")
        p.module("app", state=owner)

    assert list(find_leaks(series(anew))) == []


def test_objects_that_native_code_holds_are_named_by_type_with_their_references():
    def natively(p, n):
        for i in range(n):
            p.root(p.node("ext.Handle", 100, key=i), RootKind.EXTERNAL, count=2)

    (suspect,) = find_leaks(series(natively))
    assert suspect.pattern == "native-holder"
    assert suspect.holder == "native code, or the interpreter, holding ext.Handle"
    assert "60 references" in suspect.evidence
    assert suspect.growing_types == ("ext.Handle",)


def test_objects_that_native_code_and_objects_hold_are_not_said_to_be_held_by_native_code():
    """As tracemalloc holds the names of files, to which code objects refer besides."""

    def shared(p, n):
        codes = [p.node("code", 100, key=("code", i)) for i in range(80)]
        p.module("app", **{f"function_{i}": code for i, code in enumerate(codes)})
        for i in range(40):
            name = p.node("str", 100, key=i)
            for code in codes[2 * i : 2 * i + 2]:
                p.edge(code, name, K.ATTRIBUTE, "co_filename")
            if i < n:
                p.root(name, RootKind.EXTERNAL, count=2)

    assert list(find_leaks(series(shared))) == []


@pytest.mark.parametrize("is_garbage", [False, True])
def test_what_native_code_alone_keeps_alive_may_have_referrers(is_garbage):
    """Its own parts, or garbage that was not collected yet."""

    def cyclic(p, n):
        for i in range(n):
            handle = p.node("ext.Handle", 100, key=i)
            p.root(handle, RootKind.EXTERNAL)
            flags = NodeFlag.GARBAGE if is_garbage else 0
            names = p.node("dict", 100, key=("names", i), flags=flags)
            if not is_garbage:
                p.edge(handle, names, K.ATTRIBUTE, "names")
            p.edge(names, handle, K.KEY, "me")

    (suspect,) = find_leaks(series(cyclic))
    assert suspect.holder == "native code, or the interpreter, holding ext.Handle"


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"collected": None, "gc_enabled": False}, ["cyclic garbage"]),
        ({"collected": None, "gc_enabled": True}, []),
        ({"collected": {"rounds": 1}, "gc_enabled": False}, []),
    ],
)
def test_garbage_is_a_suspect_only_where_nobody_collects_it(facts, found):
    def garbage(p, n):
        for i in range(n):
            node = p.node("app.Parent", 100, key=i, flags=NodeFlag.GARBAGE)
            p.edge(node, node, K.ATTRIBUTE, "me")

    suspects = find_leaks(series(garbage, **facts))
    assert [suspect.holder for suspect in suspects] == found
    assert [suspect.pattern for suspect in suspects] == ["cycle"] * len(found)


def test_two_snapshots_do_not_take_imports_and_warm_caches_for_leaks():
    def warming(p, n):
        p.module("linecache", cache=table_of(p, n, "tuple"))

    snapshots = series(warming)
    assert list(find_leaks(snapshots[:2])) == []
    assert [suspect.holder for suspect in find_leaks(snapshots)] == ["linecache.cache"]


@pytest.mark.parametrize("kind", ["dict", "ext.Table"])
def test_two_snapshots_do_not_accuse_tables_of_the_interpreter(kind):
    """Imports fill many, and two snapshots cannot distinguish that from a leak."""

    def natively(p, n):
        table = table_of(p, 40 * n, "ext.Item", container=kind)
        p.root(table, RootKind.EXTERNAL, count=1)
        if n > 10 and kind == "ext.Table":
            imported(p)

    def imported(p):
        module = p.module("imported")
        name, _, line = p.names[module]
        p.names[module] = (name, p.text("/app/imported.py"), line)

    snapshots = series(natively)
    assert list(find_leaks(snapshots[:2])) == []
    assert [suspect.holder_type for suspect in find_leaks(snapshots)] == [kind]


@pytest.mark.parametrize(
    ("kind", "is_silent"), [("weakref.ReferenceType", True), ("app.Item", False)]
)
def test_tables_of_subclasses_are_no_leak_in_many_snapshots_either(kind, is_silent):
    def natively(p, n):
        table = p.node("dict", 64 + 8 * n, key="table", length=n)
        for i in range(n):
            p.edge(table, p.node("int", 32, key=("key", i)), K.ITEM)
            p.edge(table, p.node(kind, 100, key=("value", i)), K.KEY, "<int>")
        for i in range(n // 10):  # other tables of the interpreter lie at the same place
            p.edge(table, p.node("float", 24, key=("other", i)), K.KEY, "<int>")
        p.root(table, RootKind.EXTERNAL, count=1)

    assert (list(find_leaks(series(natively))) == []) is is_silent


def test_sites_lead_to_the_program_through_the_libraries_that_allocate():
    own, library = "/srv/app.py", "/usr/lib/python3.11/json/encoder.py"

    def depth(*files):
        path = tuple(Frame(f"f{n}", file, n) for n, file in enumerate(files))
        assert path[-len(suspects._innermost(path)) :] == suspects._innermost(path)
        return len(suspects._innermost(path))

    assert depth(own) == 1
    assert depth(*[own] * 9) == 3
    assert depth(own, own, library, library) == 4
    assert depth(own, own, *[library] * 5) == 7
    assert depth(own, own, *[library] * 50) == 3
    assert depth(*[library] * 9) == 3


def test_shares_of_a_site_add_up():
    path = (Frame("f", "/srv/app.py", 1),)
    share = SiteShare(path, 2.0, 30.0, 1) + SiteShare(path, 1.0, 4.0, 2)
    assert share == SiteShare(path, 3.0, 34.0, 3)
