"""Grouping of suspects by fingerprint, over fleets of any shape."""

from hypothesis import given
from hypothesis import strategies as st

from memlens.fleet import FleetProcess, FleetSuspect, group_suspects
from memlens.process.identity import ProcessIdentity


def suspect(fingerprint="leak-0000000001", growth=100, since=0.0, holder="app.sessions"):
    return FleetSuspect(
        fingerprint=fingerprint,
        holder=holder,
        held_by=holder,
        growing_types=("app.Session",),
        growth_bytes=growth,
        since=since,
        pattern="registry",
        evidence="nothing takes them out",
        suggestion="take them out",
        origin="the program",
    )


def process(pid, suspects=(), folder="/profiles", token="abc"):
    return FleetProcess(
        pid=pid,
        token=token,
        folder=folder,
        identity=ProcessIdentity(pid, 1, "app.py", "gunicorn worker", None, "host", 1.0),
        since=0.0,
        until=100.0,
        rss_bytes=1 << 20,
        growth_bytes=sum(one.growth_bytes for one in suspects),
        verdict="leak" if suspects else "no leak",
        confidence="high",
        suspects=tuple(suspects),
    )


SUSPECTS = st.builds(
    suspect,
    fingerprint=st.sampled_from([f"leak-{number:010x}" for number in range(4)]),
    growth=st.integers(0, 1 << 40),
    since=st.floats(0, 1e9),
    holder=st.sampled_from(["app.sessions", "app.cache"]),
)
FLEETS = st.lists(
    st.tuples(
        st.integers(1, 5), st.sampled_from(["a", "b"]), st.lists(SUSPECTS, max_size=4)
    ),
    max_size=8,
    unique_by=lambda one: one[:2],
).map(lambda rows: [process(pid, found, folder) for pid, folder, found in rows])  # fmt: skip


@given(FLEETS)
def test_nothing_is_lost_and_nothing_counts_twice(fleet):
    groups = group_suspects(fleet)
    all_suspects = [one for member in fleet for one in member.suspects]
    assert sum(group.growth_bytes for group in groups) == sum(
        one.growth_bytes for one in all_suspects
    )
    assert {group.fingerprint for group in groups} == {one.fingerprint for one in all_suspects}
    for group in groups:
        holders = [
            member
            for member in fleet
            if any(one.fingerprint == group.fingerprint for one in member.suspects)
        ]
        assert group.process_count == len(holders) <= group.of_count == len(fleet)
        assert sorted(group.pids) == sorted(member.pid for member in holders)
        assert len(group.labels) == len(group.pids)
        same = [one for one in all_suspects if one.fingerprint == group.fingerprint]
        assert group.since == min(one.since for one in same)
        assert group.suspect in same
        assert group.suspect.growth_bytes == max(one.growth_bytes for one in same)


@given(FLEETS, st.randoms(use_true_random=False))
def test_order_of_the_processes_does_not_matter(fleet, random):
    shuffled = random.sample(fleet, len(fleet))
    assert [group.to_dict() | {"suspect": 0} for group in group_suspects(shuffled)] == [
        group.to_dict() | {"suspect": 0} for group in group_suspects(fleet)
    ]


@given(FLEETS)
def test_largest_growth_comes_first(fleet):
    growths = [group.growth_bytes for group in group_suspects(fleet)]
    assert growths == sorted(growths, reverse=True)


def test_process_with_two_suspects_of_one_fingerprint_counts_once():
    (group,) = group_suspects([process(1, [suspect(growth=10), suspect(growth=5)]), process(2)])
    assert (group.pids, group.of_count, group.growth_bytes) == ((1,), 2, 15)


def test_process_ids_that_two_hosts_use_are_two_processes():
    fleet = [process(1, [suspect()], folder="/a"), process(1, [suspect()], folder="/b")]
    assert group_suspects(fleet)[0].process_count == 2


def test_process_ids_that_the_system_used_again_are_two_processes():
    fleet = [process(1, [suspect()], token="a"), process(1, [suspect()], token="b")]
    assert group_suspects(fleet)[0].process_count == 2


def test_suspects_without_a_fingerprint_are_grouped_by_their_holder():
    fleet = [
        process(1, [suspect("", holder="app.a")]),
        process(2, [suspect("", holder="app.a"), suspect("", holder="app.b")]),
    ]
    assert sorted(group.process_count for group in group_suspects(fleet)) == [1, 2]


def test_text_says_where_it_grows_who_holds_it_and_what_to_do():
    fleet = [process(number, [suspect(growth=number)]) for number in range(1, 11)]
    text = str(group_suspects([*fleet, process(11)])[0])
    assert "app.sessions grows in 10 of 11 processes: +55 B in all, since 1970-01-01" in text
    assert "10 (gunicorn worker), 9 (gunicorn worker)" in text
    assert "and 2 more" in " ".join(text.split())
    assert "take them out" in text
    assert "leak-0000000001, in the program" in text
