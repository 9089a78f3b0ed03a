"""Four workers, one of which leaks: each has a profiler, and ``memlens fleet`` finds the leak.

    python examples/fleet_of_workers.py [DIR]

Each worker starts a `MemoryProfiler` with the same ``output_dir`` and takes a snapshot after each
batch of work; a service would let the profiler take them from time to time. Then the folder is read
as ``python -m memlens fleet DIR`` reads it. Nothing but the standard library and memlens is needed.
"""

import multiprocessing
import os
import sys
import tempfile

import memlens
from memlens.fleet import read_fleet

BATCHES = 4
JOBS_A_BATCH = 200
RECENT = 20


class Job:
    """What a worker knows of one job."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.log = [f"step {step} of job {number}" for step in range(10)]


finished: list[Job] = []


def work(folder: str, keeps_all: bool) -> None:
    """Do some batches of jobs; keep the newest jobs, or by mistake all of them."""
    with memlens.MemoryProfiler(
        folder,
        snapshot_interval=3600.0,
        max_snapshots=100,  # else the files of workers that have ended make room for new ones
    ) as profiler:
        for batch in range(BATCHES):
            for number in range(JOBS_A_BATCH):
                finished.append(Job(batch * JOBS_A_BATCH + number))
                if not keeps_all:
                    del finished[:-RECENT]
            profiler.take_snapshot()


def main(folder: str) -> None:
    """Run the workers and print what the fleet says."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(folder, number == 2), name=f"worker-{number}")
        for number in range(1, 5)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"$ python -m memlens fleet {folder}\n")
    print(read_fleet([folder]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(os.path.abspath(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
