"""Names of allocation sites for monitoring: bounded, and the sum is always right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import NATIVE_FRAME, Frame
from memlens.allocations.sampling.site_tables import LiveSites, SiteBytes
from memlens.errors import OptionError
from memlens.integrations.metrics.site_labels import MAX_CHARACTERS, OTHER, SiteLabels, label_of

names = st.text(max_size=300)
sites = st.builds(
    SiteBytes,
    st.builds(Frame, names | st.none(), names, st.integers(0, 1 << 20)),
    st.integers(0, 1 << 50).map(float),
    st.booleans(),
)


def live(*found, more=0.0):
    return LiveSites(tuple(found), sum(site.live_bytes for site in found) + more, 0.0)


def site(line, size=100.0, is_reliable=True):
    return SiteBytes(Frame("load", "/srv/shop/app.py", line), size, is_reliable)


@given(st.lists(st.lists(sites, max_size=8), max_size=6), st.integers(0, 4))
def test_values_are_few_and_short_and_add_up(scrapes, max_sites):
    labels = SiteLabels(max_sites)
    seen = set()
    for found in scrapes:
        rows = labels.rows(live(*found, more=7.0))
        assert len(rows) <= max_sites + 1
        assert sum(size for _, size in rows) == pytest.approx(live(*found, more=7.0).live_bytes)
        assert rows[-1][0] == OTHER
        assert len({name for name, _ in rows}) == len(rows)
        seen |= {name for name, _ in rows}
    assert len(seen) <= 10 * max_sites + 1
    assert all(0 < len(name) <= MAX_CHARACTERS and name.isprintable() for name in seen)


def test_a_line_is_named_by_function_folder_file_and_line():
    assert SiteLabels(2).rows(live(site(7), more=5.0)) == [
        ("load (shop/app.py:7)", 100.0),
        (OTHER, 5.0),
    ]


def test_a_line_whose_estimate_is_not_reliable_counts_as_other():
    assert SiteLabels(2).rows(live(site(7, is_reliable=False), site(8))) == [
        ("load (shop/app.py:8)", 100.0),
        (OTHER, 100.0),
    ]


def test_lines_that_come_too_late_count_as_other_and_known_ones_keep_their_name():
    labels = SiteLabels(1)
    named = [labels.rows(live(site(line)))[0][0] for line in range(1, 13)]
    assert named == [f"load (shop/app.py:{line})" for line in range(1, 11)] + [OTHER, OTHER]
    assert labels.rows(live(site(3)))[0] == ("load (shop/app.py:3)", 100.0)


def test_no_lines_are_named_if_none_are_wanted():
    assert SiteLabels(0).rows(live(site(7))) == [(OTHER, 100.0)]


@pytest.mark.parametrize(
    ("frame", "label"),
    [
        (Frame("f", "<ipython-input-17-ab12>", 3), "f (<generated>)"),
        (Frame("f", "<user ada@example.org>", 3), "f (<generated>)"),
        (Frame("f", "<string>", 3), "f (<string>:3)"),
        (Frame("f", "<frozen importlib._bootstrap>", 3), "f (<frozen importlib._bootstrap>:3)"),
        (NATIVE_FRAME, "<native>"),
        (Frame(None, "/srv/shop/app.py", 3), "shop/app.py:3"),
        (Frame(None, "", 0), "<unknown>"),
        (Frame("f", "C:\\work\\shop\\app.py", 3), "f (shop/app.py:3)"),
    ],
)
def test_names_hold_code_only(frame, label):
    assert label_of(frame) == label


@pytest.mark.parametrize("max_sites", [-1, 1.5, None, "3"])
def test_wrong_numbers_are_refused(max_sites):
    with pytest.raises(OptionError):
        SiteLabels(max_sites)
