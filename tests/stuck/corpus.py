"""A program with tasks and threads of which some can never be woken: those named ``stuck_*``.

python corpus.py FILE: print the names that `stuck_tasks` reports live and of a snapshot in FILE.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import queue
import signal
import sys
import threading

import memlens

tasks = []
registry = {}
shared_queue = asyncio.Queue()
shared_event = asyncio.Event()
release = threading.Event()


def start(coroutine):
    tasks.append(asyncio.create_task(coroutine))


def future():
    return asyncio.get_running_loop().create_future()


# -- what nothing can wake -------------------------------------------------------------------------


async def stuck_lost_future():
    await future()


async def stuck_forgotten_queue():
    await asyncio.Queue().get()


async def stuck_full_queue():
    full = asyncio.Queue(1)
    for number in range(3):
        await full.put(number)


async def stuck_event():
    await asyncio.Event().wait()


async def stuck_condition():
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


async def stuck_semaphore():
    async with (semaphore := asyncio.Semaphore(1)), semaphore:
        pass


async def stuck_gather():
    await asyncio.gather(stuck_lost_future(), asyncio.sleep(0))


async def stuck_waiter_of_task():
    await asyncio.create_task(stuck_event())


async def stuck_shield():
    await asyncio.shield(asyncio.create_task(stuck_lost_future()))


async def stuck_wait():
    await asyncio.wait([asyncio.create_task(stuck_lost_future())])


async def stuck_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(stuck_lost_future())
        group.create_task(asyncio.sleep(0))


async def stuck_in_generator():
    async def rows():
        yield 1
        await future()

    async for _ in rows():
        pass


async def stuck_deep(depth=30):
    if depth:
        await stuck_deep(depth - 1)
    else:
        await future()


async def stuck_reader():
    await asyncio.StreamReader().read()


def plant_lock_cycle():
    first, second = asyncio.Lock(), asyncio.Lock()

    async def stuck_in_cycle(one, other):
        async with one:
            await asyncio.sleep(0)
            async with other:
                pass

    start(stuck_in_cycle(first, second))
    start(stuck_in_cycle(second, first))


def plant_mutual_wait():
    pair = []

    async def stuck_on_each_other(other):
        await asyncio.sleep(0)
        await asyncio.wait([pair[other]])

    for other in (1, 0):
        pair.append(asyncio.create_task(stuck_on_each_other(other)))
    tasks.extend(pair)


def plant_callback():
    async def stuck_with_callback():
        await future()

    task = asyncio.create_task(stuck_with_callback())
    background = {task}
    task.add_done_callback(background.discard)
    registry["background"] = background


class App:
    def __init__(self):
        self.tasks = []

    def stop(self):
        for task in self.tasks:
            task.cancel()


def plant_signal_handler():
    async def stuck_until_a_signal():
        await future()

    app = App()
    app.tasks.append(asyncio.create_task(stuck_until_a_signal()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, app.stop)


STUCK = [
    stuck_lost_future, stuck_forgotten_queue, stuck_full_queue, stuck_event, stuck_condition,
    stuck_semaphore, stuck_gather, stuck_waiter_of_task, stuck_shield, stuck_wait, stuck_group,
    stuck_in_generator, stuck_deep, stuck_reader,
]  # fmt: skip


# -- what something can wake -----------------------------------------------------------------------


async def sleeper():
    await asyncio.sleep(3600)


async def with_a_timeout():
    async with asyncio.timeout(3600):
        await future()


async def with_wait_for():
    await asyncio.wait_for(asyncio.Event().wait(), 3600)


async def with_wait_for_a_task():
    await asyncio.wait_for(asyncio.create_task(waits_for_nothing()), 3600)


async def waits_for_nothing():
    await future()


async def first_of_two():
    pending = [asyncio.create_task(waits_for_nothing()), asyncio.create_task(sleeper())]
    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)


async def wait_with_timeout():
    await asyncio.wait([asyncio.create_task(waits_for_nothing())], timeout=3600)


async def gathers_under_a_timeout():
    async with asyncio.timeout(3600):
        await asyncio.gather(waits_for_nothing(), waits_for_nothing())


async def completed_under_a_timeout():
    for one in asyncio.as_completed([waits_for_nothing()], timeout=3600):
        await one


async def global_queue():
    await shared_queue.get()


async def global_event():
    await shared_event.wait()


async def answers():
    registry["answer"] = future()
    await registry["answer"]


async def local_queue_with_a_producer():
    local = asyncio.Queue()

    async def produce():
        await asyncio.sleep(3600)
        local.put_nowait(1)

    start(produce())
    await local.get()


async def later():
    waiting = future()
    asyncio.get_running_loop().call_later(3600, waiting.set_result, None)
    await waiting


async def in_a_thread():
    await asyncio.to_thread(release.wait)


async def from_a_thread():
    waiting, loop = future(), asyncio.get_running_loop()

    def wake():
        release.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(waiting.set_result, None)

    threading.Thread(target=wake, daemon=True).start()
    await waiting


async def concurrent_future():
    registry["concurrent"] = concurrent.futures.Future()
    await asyncio.wrap_future(registry["concurrent"])


async def subprocess():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    registry["process"] = process.stdin
    await process.wait()


async def serve(reader, writer):
    await reader.readline()


async def server():
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    start(client(port))
    async with listening:
        await listening.serve_forever()


async def client(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.read()
    writer.close()


async def gathers_a_stuck_task_and_a_sleeper():
    await asyncio.gather(stuck_lost_future(), sleeper())


async def waits_for_a_sleeper():
    await asyncio.gather(asyncio.create_task(sleeper()), sleeper())


HEALTHY = [
    sleeper, with_a_timeout, with_wait_for, with_wait_for_a_task, first_of_two, wait_with_timeout,
    gathers_under_a_timeout, completed_under_a_timeout, global_queue, global_event, answers,
    local_queue_with_a_producer, later, in_a_thread, from_a_thread, concurrent_future, subprocess,
    server, waits_for_a_sleeper, gathers_a_stuck_task_and_a_sleeper,
]  # fmt: skip


# -- threads ---------------------------------------------------------------------------------------


def stuck_thread_on_a_queue(forgotten):
    forgotten.get()


def stuck_thread_on_an_event():
    threading.Event().wait()


def thread_on_a_global_event():
    release.wait()


def thread_with_a_timeout():
    threading.Event().wait(3600)


def thread_on_a_held_queue(held):
    held.get()


def thread_on_a_lock(lock):
    lock.acquire()


def plant_threads():
    registry["queue"] = queue.Queue()
    for function, *arguments in (
        (stuck_thread_on_a_queue, queue.Queue()),
        (stuck_thread_on_an_event,),
        (thread_on_a_global_event,),
        (thread_with_a_timeout,),
        (thread_on_a_held_queue, registry["queue"]),
        (thread_on_a_lock, registry.setdefault("lock", threading.Lock())),
    ):
        thread = threading.Thread(target=function, args=tuple(arguments), daemon=True)
        thread.name = function.__name__
        thread.start()


async def settle():
    """Let everything come to rest: until no task is to run for a hundred turns of the loop."""
    quiet = 0
    while quiet < 100 or "process" not in registry:
        await asyncio.sleep(0.001)
        quiet += 1


def names(report):
    return sorted([task.kind, task.frames[-1 if task.kind == "thread" else 0].function or "",
                   task.name] for task in report)  # fmt: skip


async def main():
    registry["lock"] = threading.Lock()
    registry["lock"].acquire()
    for function in (*STUCK, *HEALTHY):
        start(function())
    plant_lock_cycle()
    plant_mutual_wait()
    plant_callback()
    plant_signal_handler()
    plant_threads()
    await settle()
    live = memlens.stuck_tasks()
    memlens.take_heap_snapshot(sys.argv[1], collect=True)
    saved = memlens.stuck_tasks(memlens.load(sys.argv[1]))
    all_tasks = sorted(task.get_coro().__qualname__ for task in asyncio.all_tasks())
    print(json.dumps({"live": live.to_dict(), "saved": saved.to_dict(), "tasks": all_tasks}))
    sys.stdout.flush()
    registry["process"].close()
    release.set()


if __name__ == "__main__":
    runner = asyncio.Runner()
    try:
        runner.run(main())
    finally:
        import os

        os._exit(0 if sys.exc_info()[0] is None else 1)
