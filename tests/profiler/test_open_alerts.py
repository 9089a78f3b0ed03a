"""Reports that later analyses do not confirm are withdrawn, and no others."""

from dataclasses import replace

import pytest

import memlens
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import LeakAlert
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


def test_a_report_is_withdrawn_when_its_holder_has_not_grown_for_as_long(found):
    alerts = OpenAlerts()
    alerts.add(found, 100.0)
    assert alerts.to_test(101.0) == []  # it covered two seconds
    (one,) = alerts.to_test(102.0)
    assert alerts.withdraw(is_leaking=False) == []
    alerts.test(one, NOTHING, 102.0)
    assert alerts.to_test(200.0) == []
    assert alerts.withdraw(is_leaking=False) == [found]
    assert alerts.withdraw(is_leaking=False) == []
    assert alerts.withdrawn == (found,)
    assert alerts.has_news(found)  # it may come back


def test_a_holder_that_has_grown_confirms_the_report(found):
    alerts = OpenAlerts()
    alerts.add(found, 100.0)
    (one,) = alerts.to_test(102.0)
    alerts.test(one, found, 102.0)
    assert alerts.withdraw(is_leaking=False) == []
    assert alerts.to_test(103.0) == []
    assert alerts.to_test(104.0) == [one]


def test_the_number_of_containers_in_a_place_is_no_part_of_its_name(found):
    alerts = OpenAlerts()
    alerts.add(named(found, "40 × app.history"), 100.0)
    assert not alerts.has_news(named(found, "41 × app.history"))
    (one,) = alerts.to_test(102.0)
    alerts.test(one, named(found, "41 × app.history"), 102.0)
    assert alerts.withdraw(is_leaking=False) == []


def test_a_known_holder_is_no_news(found):
    alerts = OpenAlerts()
    assert alerts.has_news(found)
    alerts.add(found, 100.0)
    assert not alerts.has_news(found)
    assert alerts.has_news(named(found, "app.other"))
    assert not alerts.has_news(NOTHING)


def test_no_report_for_a_trend_is_withdrawn_while_the_trend_lasts(found):
    alerts = OpenAlerts()
    for_trend = replace(NOTHING, alert=memlens_alert())
    alerts.add(for_trend, 100.0)
    assert alerts.has_trends
    assert alerts.withdraw(is_leaking=True) == []
    assert alerts.withdraw(is_leaking=False) == [for_trend]
    assert not alerts.has_trends


def test_a_report_for_a_trend_that_names_a_holder_needs_both_to_be_over(found):
    alerts = OpenAlerts()
    alerts.add(replace(found, alert=memlens_alert()), 100.0)
    assert alerts.withdraw(is_leaking=False) == []
    alerts.test(alerts.to_test(200.0)[0], NOTHING, 200.0)
    assert alerts.withdraw(is_leaking=True) == []
    assert len(alerts.withdraw(is_leaking=False)) == 1


def test_what_is_kept_is_bounded(found):
    alerts = OpenAlerts()
    for number in range(300):
        alerts.add(named(found, f"app.table{number}"), 100.0)
    assert not alerts.has_news(named(found, "app.table299"))
    assert alerts.has_news(named(found, "app.table0"))
    for one in alerts.to_test(200.0):
        alerts.test(one, NOTHING, 200.0)
    assert len(alerts.withdraw(is_leaking=False)) == 100
    assert len(alerts.withdrawn) == 20


def memlens_alert():
    return LeakAlert("rss", 10.0, 0.0, 9.0, 5.0, 1.0, (1.0, 2.0), 0.999, False, "python")
