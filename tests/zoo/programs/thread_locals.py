"""Worker threads keep a cache in a threading.local that nobody empties."""

import queue
import threading

from support.pace import LEAK, rng, ticks

local = threading.local()


class Row:
    def __init__(self, key):
        self.key = key
        self.columns = rng.randbytes(6_000)


def fetch(key):
    if not hasattr(local, "rows"):
        local.rows = {}
    if not LEAK and len(local.rows) > 20:
        local.rows.clear()
    local.rows[key] = Row(key)


def work(jobs):
    while (key := jobs.get()) is not None:
        fetch(key)
        jobs.task_done()


def main():
    jobs = queue.Queue()
    for _ in range(3):
        threading.Thread(target=work, args=(jobs,), daemon=True).start()
    for i in ticks():
        for n in range(4):
            jobs.put(f"row-{i}-{n}")
        jobs.join()


if __name__ == "__main__":
    main()
