"""Threads of memlens leave the signals of the process to the program."""

import ast
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import memlens
from memlens._own_thread import OwnThread, call_program, out_of_sight

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pthread_sigmask"), reason="the system has no masks of signals"
)
PACKAGE = Path(memlens.__file__).parent
# Those of commands end with them, and the agent may run where memlens cannot be imported yet.
WITH_THREADS_OF_THEIR_OWN = {"cli/working.py", "tables/url_listing.py", "attach/agent.py"}


def mask():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def mask_of_a_child():
    code = "import signal; print(*map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return {int(word) for word in done.stdout.split()}


def in_own_thread(function, *arguments):
    results = []
    thread = OwnThread(lambda: results.append(function(*arguments)), "memlens-test")
    assert thread.daemon
    thread.start()
    thread.wait_for_end()
    return results[0]


def run(script, **options):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_all_signals_but_faults_are_blocked():
    blocked = in_own_thread(mask)
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGPROF, signal.SIGCHLD} < blocked
    assert not blocked & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGABRT}
    assert signal.SIGTERM not in mask()


def test_a_callback_of_the_program_and_its_children_have_the_mask_of_the_program():
    def in_callback():
        return mask(), mask_of_a_child()

    def in_thread():
        return call_program(in_callback), mask()

    in_callback.__module__ = "app.alerts"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        (of_callback, of_child), after = in_own_thread(in_thread)
        nested, _ = in_own_thread(in_own_thread, in_thread)
        assert mask_of_a_child() == set(mask())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert of_callback == of_child == {*before, signal.SIGUSR2}
    assert nested == (of_callback, of_child), "of a thread that an own thread has started"
    assert signal.SIGTERM in after


def test_a_failing_callback_restores_the_mask():
    def in_thread():
        with pytest.raises(ZeroDivisionError):
            call_program(lambda: 1 / 0)
        return mask()

    assert signal.SIGTERM in in_own_thread(in_thread)


def test_a_function_of_memlens_and_a_thread_of_the_program_keep_their_mask():
    assert call_program(mask) == mask()
    ours = lambda: mask()  # noqa: E731
    ours.__module__ = "memlens.profiler.duties"
    assert signal.SIGTERM in in_own_thread(call_program, ours)


def test_a_greenlet_changes_no_mask():
    before = mask()
    OwnThread(lambda: None, "memlens-test").run()  # as gevent does: in the thread of its creator
    assert mask() == before


def test_nothing_else_starts_threads():
    """A thread of the standard library would take signals from the program."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("threading.Thread", "Thread", "ThreadPoolExecutor")
    }
    assert found == WITH_THREADS_OF_THEIR_OWN


def test_a_program_that_waits_for_a_signal_receives_it():
    script = """
        import os, signal, tempfile
        import memlens
        waited = [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT]
        with tempfile.TemporaryDirectory() as folder:
            with memlens.MemoryProfiler(folder, sample_interval=0.01) as profiler:
                signal.pthread_sigmask(signal.SIG_BLOCK, waited)
                for round in range(30):
                    if round % 10 == 0:
                        profiler.take_snapshot()
                    for number in waited:
                        os.kill(os.getpid(), number)
                        assert signal.sigwait(waited) == number
                print(profiler.health()["sampler"]["thread_alive"])
    """
    assert run(script) == ["True"]


def test_a_thread_that_waits_is_out_of_sight_and_one_that_works_is_not():
    turns = [threading.Event() for _ in range(4)]
    seen = []

    def work():
        seen.append(threading.current_thread())
        with out_of_sight():
            turns[0].set()
            turns[1].wait(60)
        seen.append(threading.current_thread())
        turns[2].set()
        turns[3].wait(60)

    thread = OwnThread(work, "memlens-test")
    thread.start()
    turns[0].wait(60)
    assert thread.is_alive() and thread not in threading.enumerate()
    turns[1].set()
    turns[2].wait(60)
    assert thread in threading.enumerate()
    thread.join()  # does not wait
    assert thread.is_alive()
    turns[3].set()
    thread.wait_for_end(60)
    assert not thread.is_alive() and thread not in threading.enumerate()
    assert seen == [thread, thread]


def test_a_thread_that_ends_out_of_sight_ends_without_an_error(capfd):
    def work():
        with suppress(SystemExit), out_of_sight():
            sys.exit()
        del threading._active[threading.get_ident()]

    in_own_thread(work)
    assert capfd.readouterr().err == ""


def test_other_threads_stay_in_sight():
    with out_of_sight():
        assert threading.current_thread() in threading.enumerate()


@pytest.mark.parametrize(
    "waits",
    [
        "while threading.active_count() > 1: pass",
        "[one.join() for one in threading.enumerate() if one is not threading.main_thread()]",
    ],
)
def test_a_program_that_waits_for_the_end_of_all_other_threads_goes_on(waits):
    script = f"""
        import tempfile, threading
        import memlens
        from memlens import triggers
        with tempfile.TemporaryDirectory() as folder:
            options = dict(sample_interval=0.02, triggers=[triggers.every(3600.0)])
            with memlens.MemoryProfiler(folder, on_alert=print, **options) as profiler:
                done = []  # from 3.14 on a thread may be alive that `threading` does not list any more
                threading.Thread(target=lambda: done.append(sum(range(10**6)))).start()
                {waits}
                print(len(done), profiler.health()["sampler"]["thread_alive"])
    """
    assert run(script) == ["1", "True"]


def test_the_analysis_beside_a_program_that_blocks_its_signals_can_be_ended():
    script = """
        import signal
        from memlens._own_thread import OwnThread
        from memlens.profiler.child_process import ChildProcess

        def ask():
            program = '''if True:
                import json, signal, sys
                sys.path += json.loads(sys.argv[1])
                from memlens.profiler.answering import answer_request
                def work(request):
                    return {"blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))}
                answer_request(work)
            '''
            print(ChildProcess().run(program, b'{"max_bytes": 1073741824, "max_seconds": 60}'))

        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        thread = OwnThread(ask, "memlens-test")
        thread.start()
        thread.wait_for_end()
    """
    assert "'blocked': 0" in " ".join(run(script))


@pytest.mark.skipif(sys.platform != "linux", reason="attaching is for Linux")
def test_the_agent_that_attaching_starts_blocks_them_too(tmp_path):
    source = (
        "import signal\n"
        "def live_stacks():\n"
        "    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "    return {'blocked': sorted(map(int, blocked))}\n"
    )
    with open(tmp_path / "request.json", "w+", encoding="utf-8") as request:
        json.dump({"command": "stacks"}, request)
        request.flush()
        fcntl.flock(request, fcntl.LOCK_EX)  # the sender waits
        script = f"""
            import threading
            from memlens.attach.agent import begin
            begin({os.fspath(tmp_path)!r}, {source!r}, 0)
            for thread in threading.enumerate():
                if thread.name == "memlens-agent":
                    thread.join()
        """
        run(script)
    answer = json.loads((tmp_path / "answer.json").read_text())["answer"]
    assert signal.SIGTERM in answer["blocked"] and signal.SIGSEGV not in answer["blocked"]
