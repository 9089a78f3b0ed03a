"""Celery: a profiler in each worker process of the prefork pool.

    python examples/celery_worker.py

starts a worker with two processes, which take their tasks from files, sends it tasks that leak, ends
it, and says what leaks in each process. To run it yourself:

    celery --workdir examples -A celery_worker worker
"""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

import memlens

FOLDER = os.environ.get("PROFILES", "memory-profiles")
BROKER = os.path.join(os.path.abspath(FOLDER), "broker")  # of this example: files need no server

app = Celery("celery_worker", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": BROKER,
        "data_folder_out": BROKER,
        "control_folder": os.path.join(BROKER, "control"),
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
profiler = memlens.MemoryProfiler(
    os.path.join(FOLDER, "profiles"),
    max_snapshots=100,  # also of processes that have ended
    snapshot_interval=1.0,  # for this example; leave it out
)


@worker_process_init.connect
def start_profiler(**_: object) -> None:
    """Start the profiler in a process of the pool, not in the one that starts them."""
    profiler.start()


@worker_process_shutdown.connect
def stop_profiler(**_: object) -> None:
    """Keep a last snapshot of a process that ends."""
    profiler.stop(last_snapshot="exit")


thumbnails: dict[str, bytes] = {}


@app.task
def resize(name: str) -> None:
    """Keep the result for ever: the leak of this example."""
    thumbnails[name] = bytes(10_000)


def main() -> None:
    """Run a worker, send it tasks, and look at the snapshots of its processes."""
    import subprocess
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROFILES"] = folder
        Path(folder, "broker", "control").mkdir(parents=True)
        command = [sys.executable, "-m", "celery", "-A", "celery_worker", "worker", "-c", "2"]
        with open(Path(folder, "log"), "w+") as log:
            worker = subprocess.Popen(
                command, cwd=Path(__file__).parent, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                until = send_tasks(seconds=10.0)
            finally:
                worker.terminate()
                code = worker.wait(60)
            log.seek(0)
            if code != 0 or report_processes(Path(folder, "profiles"), until) != 2:
                raise SystemExit(f"the worker has ended with {code}:\n{log.read()}")


def send_tasks(seconds: float) -> float:
    """Send tasks steadily: a leak grows in every interval between snapshots. Return when they end."""
    import time

    import celery_worker as known  # as the worker knows it: this file is __main__ here

    # Messages are moved to the worker when they are whole: it could take a file before it is written.
    written = Path(known.BROKER, "written")
    written.mkdir()
    known.app.conf.broker_transport_options["data_folder_out"] = str(written)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        known.resize.delay(f"picture {number}")
        for message in written.iterdir():
            message.rename(Path(known.BROKER, message.name))
        number += 1
        time.sleep(0.02)
    return time.time()


def report_processes(folder: Path, until: float) -> int:
    """Print what leaks in each process; return in how many the leak was found.

    Without the snapshots after ``until``: a worker needs seconds to end, in which nothing grows.
    """
    files: dict[str, list[Path]] = {}
    for path in folder.glob("heap-*.memlens"):
        files.setdefault(path.stem.split("-")[3], []).append(path)
    found = 0
    for pid, paths in files.items():
        snapshots = [memlens.HeapSnapshot.load(path) for path in paths]
        report = memlens.find_leaks([one for one in snapshots if one.timestamp <= until])
        print(f"process {pid}: {report}\n")
        found += any(suspect.holder == "celery_worker.thumbnails" for suspect in report)
    return found


if __name__ == "__main__":
    main()
