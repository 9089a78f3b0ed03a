"""A dozen worker threads of one function, each with a local list of results."""

import queue
import threading

from support.pace import LEAK, rng, ticks


class Result:
    def __init__(self, job):
        self.job = job
        self.text = rng.randbytes(2_000)


def work(jobs):
    results = []
    while (job := jobs.get()) is not None:
        results.append(Result(job))
        if not LEAK:
            del results[:-4]
        jobs.task_done()


def main():
    inboxes = [queue.Queue() for _ in range(12)]
    threads = [threading.Thread(target=work, args=(inbox,), daemon=True) for inbox in inboxes]
    for thread in threads:
        thread.start()
    for i in ticks():
        for inbox in inboxes:
            inbox.put(i)
        for inbox in inboxes:
            inbox.join()
    for inbox in inboxes:
        inbox.put(None)


if __name__ == "__main__":
    main()
