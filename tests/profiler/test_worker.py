import threading

import pytest

from memlens.profiler.worker import Worker


def test_jobs_run_in_order_in_a_thread_that_ends():
    threads, errors = [], []
    worker = Worker(errors.append)
    for name in "abc":
        worker.submit(name, lambda: threads.append(threading.current_thread()))
    assert worker.wait(30)
    assert len(threads) == 3
    assert all(thread is not threading.current_thread() for thread in threads)
    for thread in threads:
        thread.wait_for_end(30)
        assert not thread.is_alive()
    assert errors == []


def test_waiting_job_is_not_queued_twice_and_submit_does_not_block():
    gate, done = threading.Event(), []
    worker = Worker(done.append)
    worker.submit("slow", lambda: gate.wait(30))
    while worker._waiting:  # until it has begun
        pass
    assert worker.submit("next", lambda: done.append("next"))
    assert [worker.submit("next", lambda: done.append("next")) for _ in range(1000)] == [
        False
    ] * 1000
    assert not worker.wait(0)
    gate.set()
    assert worker.wait(30)
    assert done == ["next"]


def test_exception_of_a_job_is_passed_on_and_the_next_job_runs():
    errors, done = [], []
    worker = Worker(errors.append)

    def fails():
        raise SystemExit("no")

    worker.submit("fails", fails)
    worker.submit("works", lambda: done.append(1))
    assert worker.wait(30)
    assert [type(error) for error in errors] == [SystemExit]
    assert done == [1]


def test_job_may_wait_for_its_own_worker_without_a_deadlock():
    answers = []
    worker = Worker(answers.append)
    worker.submit("waits", lambda: answers.append(worker.wait()))
    assert worker.wait(30)
    assert answers == [False]


def test_worker_accepts_jobs_again_after_no_thread_could_be_started(monkeypatch):
    errors, done = [], []
    worker = Worker(errors.append)

    def fail(thread):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert not worker.submit("a", lambda: done.append("a"))
    assert [type(error) for error in errors] == [MemoryError]
    assert worker.submit("a", lambda: done.append("b"))
    assert worker.wait(30)
    assert done == ["b"]


def test_worker_accepts_jobs_again_after_its_thread_has_died(monkeypatch):
    done = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)

    def fail(error):
        raise MemoryError

    worker = Worker(fail)
    assert worker.submit("fails", lambda: 1 / 0)
    assert worker.wait(30)
    assert worker.submit("works", lambda: done.append(1))
    assert worker.wait(30)
    assert done == [1]


def test_job_submitted_by_a_finalizer_while_the_thread_ends_is_run():
    done = []
    worker = Worker(done.append)

    class Waiting(dict):
        """Submits a job when the worker finds that no job is left."""

        has_submitted = False

        def __bool__(self):
            is_empty = not len(self)
            if is_empty and done == ["first"] and not self.has_submitted:
                self.has_submitted = True
                worker.submit("second", lambda: done.append("second"))
                return False
            return not is_empty

    worker._waiting = Waiting()
    worker.submit("first", lambda: done.append("first"))
    assert worker.wait(30)
    assert done == ["first", "second"]


def test_waiting_jobs_can_be_removed():
    gate, done = threading.Event(), []
    worker = Worker(done.append)
    worker.submit("slow", lambda: gate.wait(30))
    while worker._waiting:
        pass
    worker.submit("next", lambda: done.append("next"))
    worker.drop_waiting()
    gate.set()
    assert worker.wait(30)
    assert done == []


@pytest.mark.parametrize(
    ("why", "reported"),
    [("can't create new thread at interpreter shutdown", 0), ("can't start new thread", 1)],
)
def test_no_thread_at_the_end_of_the_interpreter_is_no_failure(monkeypatch, why, reported):
    def refuse(thread):
        raise RuntimeError(why)

    errors = []
    worker = Worker(errors.append)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not worker.submit("job", list)
    assert len(errors) == reported
