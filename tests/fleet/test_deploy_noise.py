"""The question deploy: how often it calls noise a change, and how often it sees a real one."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

from memlens.fleet.duckdb_engine import DuckDBEngine
from memlens.fleet.questions import deploy
from memlens.fleet.questions.fleet_facts import Release
from memlens.fleet.questions.question import Options
from memlens.tables.listing import TableListing

MIB = 1 << 20
TYPES, LISTED = 30, 20
BEFORE, AFTER = (Release(name, 20, 20, 0.0, 20) for name in ("1", "2"))


@pytest.fixture
def engine():
    with DuckDBEngine(TableListing("", {}, ())) as made:
        yield made


def hosts_of(seed, *, changed=1.0, others=1.0):
    """Return (side, host, type or None, bytes): hosts of very different load list their largest types.

    ``changed``: what the second release makes of type 3; ``others``: of the ten largest others.
    """
    chance = random.Random(seed)
    rows = []
    for host in range(40):
        side = "after" if host >= 20 else "before"
        load = chance.lognormvariate(0.0, 0.3)
        sizes = {}
        for number in range(TYPES):
            size = 40 * MIB / (number + 1) * load * chance.lognormvariate(0.0, 0.1)
            if side == "after":
                size *= changed if number == 3 else others if 14 <= number < 19 else 1.0
            sizes[f"type-{number}"] = size
        listed = sorted(sizes, key=sizes.get, reverse=True)[:LISTED]
        rows += [(side, host, name, sizes[name]) for name in listed]
        rows.append((side, host, None, sum(sizes.values()) - sum(sizes[one] for one in listed)))
        rows.append((side, host, "resident memory", 2 * sum(sizes.values())))
    return rows


def real_changes(engine, rows):
    texts = (
        f"({'null' if what is None else repr(what)}, '{side}', '{host}', {value:.1f})"
        for side, host, what, value in rows
    )
    engine.keep(
        "fleet_values",
        f"select * from (values {', '.join(texts)}) as made(what, side, host, value)",
    )
    answer = deploy._compared(
        engine, BEFORE, AFTER, deploy._DAY, {"before": 20, "after": 20}, Options(limit=100)
    )
    return {row["what"] for row in answer.to_dict()["rows"] if row["is_real"] == "yes"}


def test_noise_is_hardly_ever_a_change(engine):
    false = sum(bool(real_changes(engine, hosts_of(seed))) for seed in range(60))
    assert false <= 3  # of 60: the bound is one in 100; four or more has a chance of 0.3 %


def test_a_type_that_trebles_is_seen_and_no_other(engine):
    for seed in range(8):
        assert real_changes(engine, hosts_of(seed, changed=3.0)) - {"resident memory"} == {"type-3"}


def test_types_that_others_push_off_the_list_are_no_change(engine):
    """The smallest types are listed by fewer hosts, for other types are larger: they are the same."""
    for seed in range(8):
        found = real_changes(engine, hosts_of(seed, others=0.25))
        assert found <= {f"type-{number}" for number in range(14, 19)}, seed


def test_a_type_that_the_new_release_brings_is_a_change(engine):
    rows = [row for row in hosts_of(1) if row[:1] + row[2:3] != ("before", "type-3")]
    assert "type-3" in real_changes(engine, rows)
