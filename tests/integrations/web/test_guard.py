"""One expensive answer at a time, and so many in a minute."""

from __future__ import annotations

import os

import pytest

from memlens.integrations.web.guard import RateLimit, Turn


def test_a_turn_is_taken_by_one_at_a_time():
    turn = Turn()
    assert turn.take()
    assert not turn.take()
    turn.give_back()
    assert turn.take()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_turn_of_its_own():
    turn = Turn()
    assert turn.take()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if turn.take() and not turn.take() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not turn.take()


def test_a_rate_limit_counts_the_last_60_seconds():
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert limit.seconds_to_wait() == 0
    now[0] = 10.0
    assert limit.seconds_to_wait() == 0
    now[0] = 25.0
    assert limit.seconds_to_wait() == 35.0
    now[0] = 60.0
    assert limit.seconds_to_wait() == 0  # a refused request does not count
    assert limit.seconds_to_wait() == 10.0
