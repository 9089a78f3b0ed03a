"""Where threads and tasks stand, as the process itself sees it."""

import asyncio
import threading

from memlens.process.live_stacks import live_stacks

SECRET = "a value that is no name"


def in_thread(ask):
    """Return what another thread finds, which leaves itself out."""
    found = []
    thread = threading.Thread(target=lambda: found.append(ask()))
    thread.start()
    thread.join()
    return found[0]


def functions(row):
    return [frame["function"].rpartition(".")[2] for frame in row["frames"]]


def test_threads_are_named_and_the_main_thread_comes_first():
    stop, is_waiting = threading.Event(), threading.Event()

    def wait():
        is_waiting.set()
        stop.wait()

    waiting = threading.Thread(target=wait, name="waiting", daemon=True)
    own = threading.Thread(target=stop.wait, name="memlens-worker", daemon=True)
    waiting.start()
    own.start()
    is_waiting.wait()
    rows = in_thread(live_stacks)["threads"]
    stop.set()
    waiting.join()
    own.join()
    names = [row["name"] for row in rows]
    assert names[0] == threading.main_thread().name
    assert "memlens-worker" not in names
    [row] = [row for row in rows if row["name"] == "waiting"]
    assert row["id"] == waiting.native_id
    assert row["daemon"] is True
    assert "wait" in functions(row)
    assert row["frames"][-1]["file"].endswith("threading.py")


def test_suspended_tasks_are_shown_from_the_coroutine_inwards():
    async def inner(event, value):
        await event.wait()

    async def outer(event):
        await inner(event, SECRET)

    async def main():
        event = asyncio.Event()
        task = asyncio.create_task(outer(event), name="the task")
        await asyncio.sleep(0)
        found = in_thread(live_stacks)
        event.set()
        await task
        return found

    found = asyncio.run(main())
    [row] = found["tasks"]  # not the one that runs
    assert row["name"] == "the task"
    assert functions(row) == ["outer", "inner", "wait"]
    assert row["waits_for"].startswith("Future")
    assert SECRET not in str(found)


def test_a_process_without_asyncio_has_no_tasks():
    assert in_thread(live_stacks)["tasks"] == []
