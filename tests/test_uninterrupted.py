"""Steps that each run, whatever happens in another."""

from __future__ import annotations

import os

import pytest

from memlens._uninterrupted import close_all, run_all


def test_each_step_runs_in_order_also_where_one_fails():
    done = []

    def fail():
        done.append("fail")
        raise MemoryError

    with pytest.raises(MemoryError):
        run_all(lambda: done.append("first"), fail, lambda: done.append("last"))
    assert done == ["first", "fail", "last"]


def test_errors_of_earlier_steps_are_the_context_of_the_last():
    def fail(error):
        raise error

    with pytest.raises(KeyError) as raised:
        run_all(lambda: fail(ValueError("first")), lambda: fail(KeyError("second")))
    assert isinstance(raised.value.__context__, ValueError)


def test_descriptors_are_closed_also_where_memory_is_missing(monkeypatch):
    def fail(*arguments, **options):
        raise MemoryError

    ends = list(os.pipe())
    numbers = list(ends)
    monkeypatch.setattr("memlens._uninterrupted.deque", fail)
    close_all(ends)
    assert ends == []
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)
