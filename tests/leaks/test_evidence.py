"""What counts as evidence: identity, the end of a program, few and heavy elements, garbage."""

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens.heap.graph.matching import match_graphs
from memlens.leaks import ending, growth, released
from memlens.leaks.cases import find_cases
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter
from tests.leaks.test_suspects import series, table_of

MIB = 1 << 20


def program(lengths, reasons=None, seconds=60.0, element_bytes=100):
    """Snapshots of one list with these lengths, None where it does not exist yet."""
    snapshots = []
    for step, length in enumerate(lengths):
        p = Planter()
        attributes = {}
        if length is not None:
            rows = p.node("list", 56 + 8 * length, key="rows", length=length)
            for i in range(length):
                row = p.node("app.Row", element_bytes, key=("row", i))
                p.edge(rows, row, K.INDEX, position=i)
            attributes["rows"] = rows
        p.module("app", **attributes)
        reason = reasons[step] if reasons else "periodic"
        snapshots.append(p.snapshot(timestamp=seconds * step, reason=reason))
    return snapshots


def holders(snapshots):
    return [suspect.holder for suspect in find_leaks(snapshots)]


def test_tuples_at_reused_addresses_are_new_if_they_refer_to_other_objects():
    def rows(p, n, is_same):
        table = p.node("list", 56 + 8 * n, key="table", length=n)
        for i in range(n):
            row = p.node("tuple", 56, key=("at", i), length=1)  # at the same address each time
            value = p.node("app.Value", 100, key=("value", i if is_same else (n, i)))
            p.edge(row, value, K.INDEX, position=0)
            p.edge(table, row, K.INDEX, position=i)
        p.module("app", rows=table)

    assert holders(series(lambda p, n: rows(p, n, is_same=True))) == ["app.rows"]
    assert holders(series(lambda p, n: rows(p, n, is_same=False))) == []


def test_large_texts_at_reused_addresses_are_new_if_they_begin_otherwise():
    def texts(p, n, is_same):
        table = p.node("list", 56 + 8 * n, key="table", length=n)
        for i in range(n):
            text = p.node("str", 600, key=("at", i))
            p.prefixes[text] = i if is_same else 1000 * n + i
            p.edge(table, text, K.INDEX, position=i)
        p.module("app", texts=table)

    assert holders(series(lambda p, n: texts(p, n, is_same=True))) == ["app.texts"]
    assert holders(series(lambda p, n: texts(p, n, is_same=False))) == []


def test_dicts_at_reused_addresses_are_new_if_their_first_key_is_another():
    def records(p, n, is_same):
        table = p.node("list", 56 + 8 * n, key="table", length=n)
        for i in range(n):
            record = p.node("dict", 184, key=("at", i), length=1)
            first = i if is_same else (n, i)
            p.edge(record, p.node("app.Key", 50, key=("key", first)), K.ITEM)
            p.edge(record, p.node("app.Value", 50, key=("value", n, i)), K.KEY, "<app.Key>")
            p.edge(table, record, K.INDEX, position=i)
        p.module("app", records=table)

    assert holders(series(lambda p, n: records(p, n, is_same=True))) == ["app.records"]
    assert holders(series(lambda p, n: records(p, n, is_same=False))) == []


ROWS = {"list": K.INDEX, "dict": K.KEY, "tuple": K.INDEX, "app.Row": K.ATTRIBUTE}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_other_numbers_at_reused_addresses_are_new(kind):
    """Unless a number or a text of their own is as it was: then they have changed."""

    def rows(p, n, kept):
        table = p.node("list", 56 + 8 * n, key="table", length=n)
        shared = p.node("str", 60, key="shared")
        p.prefixes[shared] = 7
        for i in range(n):
            row = p.node(kind, 56, key=("at", i))
            numbers = [p.node("float", 24, key=("number", i, place)) for place in range(3)]
            for place, number in enumerate(numbers):
                p.prefixes[number] = 1000 * n + i + place if place >= kept else i
                p.edge(row, number, ROWS[kind], name=f"part_{place}", position=place)
            p.edge(row, shared, ROWS[kind], name="part_3", position=3)
            p.edge(table, row, K.INDEX, position=i)
        p.module("app", rows=table)

    assert holders(series(lambda p, n: rows(p, n, kept=3))) == ["app.rows"]
    assert holders(series(lambda p, n: rows(p, n, kept=1))) == ["app.rows"]
    assert holders(series(lambda p, n: rows(p, n, kept=0))) == []


RUN = ("startup", "periodic", "periodic", "periodic", "periodic", "exit")


def test_three_intervals_of_a_running_program_outweigh_what_it_clears_at_its_end():
    assert holders(program([None, 10, 20, 30, 40, 0], RUN)) == ["app.rows"]


def test_two_intervals_do_not():
    assert holders(program([None, 10, 20, 30, 0], (*RUN[:4], "exit"))) == []


def buffers(sizes, reasons, count=1):
    """Snapshots of buffers with these sizes, which keep their beginnings."""
    snapshots = []
    for step, size in enumerate(sizes):
        p = Planter()
        rows = p.node("list", 56 + 8 * count, key="rows", length=count)
        for i in range(count):
            buffer = p.node("bytearray", size + i, key=("buffer", i))
            p.prefixes[buffer] = i
            p.edge(rows, buffer, K.INDEX, position=i)
        p.module("app", rows=rows)
        snapshots.append(p.snapshot(timestamp=60.0 * step, reason=reasons[step]))
    return snapshots


@pytest.mark.parametrize("count", [1, 40])
def test_buffers_that_are_emptied_at_the_end_need_three_intervals_too(count):
    reasons = ("startup", "periodic", "periodic", "exit")
    large = [10_000, 20_000, 30_000, 40_000]
    assert holders(buffers([*large[:3], 600], reasons, count)) == []
    assert holders(buffers(large, reasons, count)) == [
        "app.rows[*]" if count > 1 else "app.rows[0]"
    ]
    assert holders(buffers([*large, 600], RUN[1:], count)) != []


def test_containers_of_a_place_that_are_smaller_at_the_end_count_together():
    """The largest of them may keep what it has."""

    def snapshots(at_end):
        found = []
        for step, length in enumerate((10, 20, 30, at_end)):
            p = Planter()
            tables = []
            for number in range(8):
                size = 30 if step == 3 and not number else length
                table = p.node("list", 56 + 8 * size, key=("table", number), length=size)
                for i in range(size):
                    p.edge(table, p.node("app.Row", 100, key=(number, i)), K.INDEX, position=i)
                tables.append(table)
            rows = p.node("list", 120, key="rows", length=8)
            for number, table in enumerate(tables):
                p.edge(rows, table, K.INDEX, position=number)
            p.module("app", rows=rows)
            reason = ("startup", "periodic", "periodic", "exit")[step]
            found.append(p.snapshot(timestamp=60.0 * step, reason=reason))
        return found

    assert holders(snapshots(0)) == []
    assert holders(snapshots(40)) == ["app.rows[*]"]


def test_what_is_gone_between_the_return_of_main_and_the_exit_was_seen_at_the_return():
    reasons = ("startup", "periodic", "periodic", "periodic", "return", "periodic", "exit")
    assert holders(program([None, 10, 20, 30, 40, None, None], reasons)) == ["app.rows"]
    # Of a function that returned long before the end, the end is not.
    reasons = ("startup", "periodic", "return", "periodic", "periodic", "periodic", "exit")
    assert holders(program([None, 10, 20, 30, 40, 50, None], reasons)) == ["app.rows"]


RETURNED = ("startup", *["periodic"] * 4, "return", "exit")


def test_what_a_thread_or_generator_held_is_gone_before_main_returns():
    """Its variables go when its work ends, and what main() closes is empty as it returns."""
    assert holders(program([None, 10, 20, 30, 40, None, None], RETURNED)) == ["app.rows"]
    assert holders(program([None, 10, 20, 30, 40, 0, 0], RETURNED)) == ["app.rows"]


def test_what_was_released_by_the_return_is_found_without_a_snapshot_of_the_exit():
    """A program may be killed before it ends."""
    assert holders(program([None, 10, 20, 30, 40, None], RETURNED[:-1])) == ["app.rows"]
    assert holders(program([None, 10, 20, 30, 40, 0], RETURNED[:-1])) == ["app.rows"]


def test_the_same_two_heaps_are_matched_once(monkeypatch):
    pairs = []

    def match(before, after):
        pairs.append((id(before), id(after)))
        return match_graphs(before, after)

    for module in (growth, ending, released):
        if hasattr(module, "match_graphs"):
            monkeypatch.setattr(module, "match_graphs", match)
    reasons = ("startup", *["periodic"] * 5, "return", "exit")
    snapshots = program([None, 10, 20, 30, 40, 50, None, None], reasons)
    snapshots[-2].facts["timestamp"] = (
        301.0  # just after the one before, which is left out at first
    )
    assert [case.text for case in find_cases(snapshots)[0]] == ["app.rows"]
    assert pairs
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param([None, 10, 20, 30, 40, 38, 38], id="most of it stays"),
        pytest.param([None, 10, 20, 30, 40, 20, 20], id="half of it stays"),
        pytest.param([None, None, 10, 20, 30, 0, 0], id="two intervals"),
        pytest.param([None, 100, 400, 450, 470, None, None], id="it was nearly full"),
        pytest.param([None, 10, 20, 30, 30, None, None], id="it stood still"),
    ],
)
def test_what_ends_with_the_work_and_was_no_leak_in_it_is_none(lengths):
    assert holders(program(lengths, RETURNED)) == []
    assert holders(program(lengths[:-1], RETURNED[:-1])) == []


def at_moments(rows, facts_of=lambda step: {}):
    """Snapshots of one list at (seconds, reason, length)."""
    snapshots = program([length for _, _, length in rows], [reason for _, reason, _ in rows])
    for step, (seconds, _, _) in enumerate(rows):
        snapshots[step].facts.update(timestamp=seconds, **facts_of(step))
    return snapshots


@pytest.mark.parametrize(
    "rows",
    [
        # The work ends in the 27th second; snapshots are still written, one after the other.
        pytest.param(
            [
                *((10, "periodic", 63), (18, "periodic", 208), (26, "periodic", 350)),
                *((41, "periodic", 400), (50, "periodic", 400), (67, "return", 400)),
            ],
            id="others come before it",
        ),
        pytest.param(
            [
                *((10, "periodic", 63), (18, "periodic", 208), (26, "periodic", 400)),
                (40, "return", 401),
            ],
            id="one is in progress",
        ),
    ],
)
def test_what_is_captured_while_main_waits_for_its_last_snapshot_does_not_count(rows):
    waited = float(rows[-1][0] - 27)
    rows = [(0, "startup", None), *rows]

    def facts_of(step):
        return {"waited_seconds": waited} if rows[step][1] == "return" else {}

    assert holders(at_moments(rows, facts_of)) == ["app.rows"]
    gone = [*rows, (80, "periodic", None), (90, "exit", None)]
    assert holders(at_moments(gone, lambda step: facts_of(min(step, len(rows) - 1))))
    assert holders(at_moments(rows)) == []  # as if it had worked all the time


def test_a_container_that_was_full_before_main_waited_is_no_leak():
    rows = [(0, "startup", None), *((t, "periodic", min(40 * t, 400)) for t in (3, 9, 18, 26))]
    rows.append((67, "return", 400))
    assert (
        holders(at_moments(rows, lambda step: {"waited_seconds": 40.0} if step == 5 else {})) == []
    )


RETURNS = [  # a module calls functions in a loop; a snapshot at a return takes ten seconds
    *((0, "startup", None), (12, "return", 120), (22, "periodic", 120), (32, "periodic", 220)),
    *((42, "return", 320), (52, "periodic", 320), (62, "periodic", 420)),
]


def held(step):
    before = sum(10.0 for seconds, reason, _ in RETURNS[:step] if reason == "return")
    return {"held_seconds": before} if before else {}


def test_the_time_in_which_a_return_waits_for_its_snapshot_is_no_work():
    assert holders(at_moments(RETURNS, held)) == ["app.rows"]
    assert holders(at_moments(RETURNS)) == []  # as if it had worked all the time


def test_what_stands_still_while_there_is_work_is_no_leak_beside_returns_that_wait():
    for last in (320, 321):
        rows = [*RETURNS[:5], (52, "periodic", last), (62, "periodic", last)]
        assert holders(at_moments(rows, held)) == []
    rows = [(t, reason, length and min(length, 250)) for t, reason, length in RETURNS]
    assert holders(at_moments(rows, held)) == []


def test_a_short_last_interval_is_weighed_by_its_length():
    snapshots = program([10, 100, 200, 300, 330])
    moved = [*snapshots[:4], program([None] * 4 + [330], seconds=49.5)[-1]]
    assert moved[-1].timestamp - moved[-2].timestamp == pytest.approx(18)
    assert holders(moved) == ["app.rows"]
    assert holders(snapshots[:4] + program([10, 100, 200, 300, 305])[-1:]) == []


def test_few_heavy_elements_need_three_intervals_in_which_the_place_existed():
    assert holders(program([0, 1, 2, 3], element_bytes=10 * MIB)) == ["app.rows"]
    assert holders(program([None, 1, 2, 4], element_bytes=10 * MIB)) == []
    assert holders(program([0, 1, 2, 3], element_bytes=1000)) == []


def test_garbage_is_judged_from_where_the_collector_is_off():
    def snapshots(off_from):
        found = []
        for step in range(4):
            p = Planter()
            for i in range(20 * step):
                node = p.node("app.Parent", 100, key=i, flags=NodeFlag.GARBAGE)
                p.edge(node, node, K.ATTRIBUTE, "me")
            facts = {"collected": None, "gc_enabled": step < off_from}
            found.append(p.snapshot(timestamp=60.0 * step, **facts))
        return found

    assert holders(snapshots(off_from=1)) == ["cyclic garbage"]
    assert holders(snapshots(off_from=2)) == []


def test_what_grows_in_a_context_is_called_by_its_variable():
    def context(p, n):
        variable = p.node("_contextvars.ContextVar", 64, key="variable")
        spans = table_of(p, n, "app.Span", container="list", kind=K.INDEX)
        trie, entries = p.node("hamt", 64, key="hamt"), p.node("hamt_bitmap_node", 64, key="node")
        p.root(trie, RootKind.INTERPRETER, "context of a thread")
        p.edge(trie, entries, K.INTERNAL)
        other = p.node("dict", 64, key="other", length=0)
        for target in (other, p.node("_contextvars.ContextVar", 64, key="another")):
            p.edge(entries, target, K.INTERNAL)
        for target in (spans, variable):  # the value before its variable
            p.edge(entries, target, K.INTERNAL)
        p.module("app", SPANS=variable)

    (suspect,) = find_leaks(series(context))
    assert suspect.holder == "context variable app.SPANS"
