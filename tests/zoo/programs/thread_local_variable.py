"""A worker thread remembers every job in a local dict of its function."""

import queue
import threading

from support.pace import LEAK, rng, ticks


class Outcome:
    def __init__(self, job, text):
        self.job = job
        self.text = text


def work(jobs):
    outcomes = {}
    while (job := jobs.get()) is not None:
        outcomes[job] = Outcome(job, rng.randbytes(20_000))
        if not LEAK:
            outcomes.pop(job - 10, None)
        jobs.task_done()


def main():
    jobs = queue.Queue()
    worker = threading.Thread(target=work, args=(jobs,), daemon=True)
    worker.start()
    for i in ticks():
        jobs.put(i)
        jobs.join()
    jobs.put(None)
    worker.join()


if __name__ == "__main__":
    main()
