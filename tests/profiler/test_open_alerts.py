"""Reports that later analyses do not confirm are withdrawn, and no others."""

from dataclasses import replace

import pytest

import memlens
from memlens.leaks.leak_report import LeakReport
from memlens.profiler.open_alerts import OpenAlerts
from tests.heap.planted import Planter
from tests.leaks.test_suspects import table_of

NOTHING = LeakReport(1, 4, 3.0, 0, (), ())


@pytest.fixture(scope="module")
def found():
    """A report with one suspect."""
    snapshots = []
    for step in range(3):
        p = Planter()
        p.module("app", sessions=table_of(p, 10 + 20 * step))
        snapshots.append(p.snapshot(timestamp=100.0 + step))
    return memlens.find_leaks(snapshots)


def named(found, holder):
    return replace(found, suspects=(replace(found.suspects[0], holder=holder),))


def test_a_report_is_withdrawn_after_two_analyses_without_its_holder(found):
    alerts = OpenAlerts()
    alerts.add(found)
    for _ in range(2):
        assert alerts.withdraw(is_leaking=False) == []
        alerts.confirm(NOTHING)
    assert alerts.withdraw(is_leaking=False) == [found]
    assert alerts.withdraw(is_leaking=False) == []
    assert alerts.withdrawn == (found,)
    assert alerts.has_news(found)  # it may come back


def test_a_confirmation_starts_the_count_anew(found):
    alerts = OpenAlerts()
    alerts.add(found)
    for later in (NOTHING, found, NOTHING):
        alerts.confirm(later)
        assert alerts.withdraw(is_leaking=False) == []


def test_a_known_holder_is_no_news(found):
    alerts = OpenAlerts()
    assert alerts.has_news(found)
    alerts.add(found)
    assert not alerts.has_news(found)
    assert alerts.has_news(named(found, "app.other"))
    assert not alerts.has_news(NOTHING)


def test_a_holder_that_another_open_report_names_stays_known(found):
    alerts = OpenAlerts()
    alerts.add(found)
    alerts.confirm(NOTHING)
    alerts.add(found)
    alerts.confirm(NOTHING)
    assert len(alerts.withdraw(is_leaking=False)) == 1
    assert not alerts.has_news(found)


def test_no_report_for_a_trend_is_withdrawn_while_the_trend_lasts(found):
    alerts = OpenAlerts()
    for_trend = replace(NOTHING, alert=memlens_alert())
    alerts.add(for_trend)
    assert alerts.has_trends
    assert alerts.withdraw(is_leaking=True) == []
    assert alerts.withdraw(is_leaking=False) == [for_trend]
    assert not alerts.has_trends


def test_what_is_kept_is_bounded(found):
    alerts = OpenAlerts()
    for number in range(300):
        alerts.add(named(found, f"app.table{number}"))
    assert not alerts.has_news(named(found, "app.table299"))
    assert alerts.has_news(named(found, "app.table0"))
    for _ in range(2):
        alerts.confirm(NOTHING)
    assert len(alerts.withdraw(is_leaking=False)) == 100
    assert len(alerts.withdrawn) == 20


def memlens_alert():
    return memlens.LeakAlert("rss", 10.0, 0.0, 9.0, 5.0, 1.0, (1.0, 2.0), 0.999, False, "python")
