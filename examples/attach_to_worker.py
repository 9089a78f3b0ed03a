"""Find the leak of a worker that is running already and knows nothing of memlens.

    python examples/attach_to_worker.py

Starts such a worker, then does what you would type: ``memlens stacks PID``, ``memlens attach PID``,
``memlens report PID``, ``memlens attach --stop PID``. Needs Linux, and Python 3.14 or gdb.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

WORKER = """
import sys
print("ready", flush=True)
_JOBS = {}
def work(job):
    _JOBS[job] = [job] * 100  # never removed
for job, line in enumerate(sys.stdin):
    for part in range(2000):
        work((job, part))
    print("done", flush=True)
"""
ROUNDS = 4


def main() -> None:
    """Start the worker, examine it from outside, and print what memlens finds."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with worker, tempfile.TemporaryDirectory() as folder:
        wait_for(worker, "ready")
        try:
            pid = str(worker.pid)
            memlens("stacks", pid)
            memlens("attach", pid, "-o", os.path.join(folder, "profiles"))
            for _ in range(ROUNDS):
                send_job(worker)
                report = memlens("report", pid)
            memlens("attach", "--stop", pid)
            send_job(worker)  # it works on
        finally:
            worker.terminate()
    assert "_JOBS" in report, "the report names what grows"


def wait_for(worker: subprocess.Popen[str], word: str) -> None:
    """Wait until the worker prints a word."""
    assert worker.stdout is not None
    assert worker.stdout.readline().strip() == word


def send_job(worker: subprocess.Popen[str]) -> None:
    """Give the worker a job and wait until it has done it."""
    assert worker.stdin is not None
    worker.stdin.write("job\n")
    worker.stdin.flush()
    wait_for(worker, "done")


def memlens(*words: str) -> str:
    """Run a command of memlens, show what it prints, and return it."""
    print(f"\n$ python -m memlens {' '.join(words)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "memlens", *words], text=True, stdout=subprocess.PIPE, check=True
    )
    print(done.stdout, flush=True)
    return done.stdout


if __name__ == "__main__":
    main()
