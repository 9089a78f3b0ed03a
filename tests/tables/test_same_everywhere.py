"""Fingerprints, call paths and holders are equal in each process of a program, wherever it runs."""

from __future__ import annotations

import pytest

from memlens import _core
from tests.tables.program import tables_of

pytestmark = pytest.mark.skipif(_core.IMPLEMENTATION != "C", reason="takes long in pure Python")

# The same in all versions of Python that run these tests, and in all releases of memlens: what is
# stored under another id or name is another leak, path or holder to whoever compares releases.
FINGERPRINTS = {
    "leak-bcedce0e38": "shop.cart.SESSIONS",
    "leak-ea1e72098d": "2 × Workers.work() local 'kept'",
    "leak-e8f68bd5d1": "shop.cart.store.rows",
}
PATHS = {  # with the last frame
    "e0783c14860a554d": "Item.__init__ (shop/cart.py:12)",  # by fill
    "ae0c62175e51841b": "Item.__init__ (shop/cart.py:12)",  # by Workers.work
    "729022abd0e8d2ae": "JSONDecoder.raw_decode (json/decoder.py)",
}
HOLDERS = {
    "shop.cart.SESSIONS",
    "shop.cart.store.rows",
    "thread * Workers.work() (cart.py) local 'kept'",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    return (
        tables_of(folder / "a", seed=1),
        tables_of(folder / "another folder", seed=77, before=5, lines=9),
    )


def test_fingerprints_are_equal(runs):
    for tables in runs:
        suspects = tables["suspects"]
        assert dict(zip(suspects["fingerprint"], suspects["holder"])) == FINGERPRINTS


def test_sites_of_suspects_are_equal(runs):
    first, second = (
        dict(zip(tables["suspects"]["fingerprint"], tables["suspects"]["site"])) for tables in runs
    )
    assert first == second
    if runs[0]["source"] == "sampling":
        assert "Item.__init__ (shop/cart.py:12)" in first.values()


def test_holders_are_equal(runs):
    first, second = (tables["holders"] for tables in runs)
    assert {*first["holder"][:100]} == {*second["holder"][:100]}
    assert {*first["holder"][:4]} >= HOLDERS
    for name, size in zip(first["holder"][:4], first["size_bytes"]):
        other = second["size_bytes"][second["holder"].index(name)]
        assert size == pytest.approx(other, rel=0.01)


def test_call_paths_are_equal(runs):
    for tables in runs:
        if tables["source"] != "sampling":
            pytest.skip("tracemalloc does not name functions")
        allocations = tables["allocations"]
        assert dict(zip(allocations["path_id"][:3], allocations["site"])) == PATHS


def test_processes_are_told_apart(runs):
    first, second = (tables["holders"]["process"][0] for tables in runs)
    assert first != second
