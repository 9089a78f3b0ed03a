"""Copy each snapshot that a trigger takes to another directory, as one would upload it.

    python examples/upload_directory.py [DIRECTORY]

The program leaks, is asked for a snapshot by a signal, and ends; the last snapshot is taken at its
exit. A real service would have ``before_limit`` and ``on_memory_error``, and copy to a volume that
outlives the container, or to an object store.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading

import memlens
from memlens import triggers

SESSIONS: dict[int, dict[str, object]] = {}


class Upload:
    """Copies files to a directory: under a temporary name first, so that no reader sees a half."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.done = threading.Event()
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def __call__(self, file: triggers.TriggeredFile) -> None:
        """Copy a file. Runs in the thread that hands out files."""
        target = os.path.join(self.directory, os.path.basename(file.path))
        shutil.copy(file.path, f"{target}.part")
        os.rename(f"{target}.part", target)
        print(f"uploaded {file.kind} for {file.reason}: {target} ({file.size_bytes:,} bytes)")
        self.done.set()


def serve() -> None:
    """Keep every session for ever: the leak."""
    for number in range(20_000):
        SESSIONS[number] = {"user": f"user-{number}", "roles": [number]}


def main() -> None:
    """Run the service under the profiler."""
    directory = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="memlens-upload-")
    upload = Upload(directory)
    profiler = memlens.MemoryProfiler(
        tempfile.mkdtemp(prefix="memlens-profiles-"),
        triggers=[
            triggers.on_signal("SIGUSR2"),
            triggers.at_exit(),
            triggers.before_limit(0.1),
            triggers.on_memory_error(),
        ],
        on_file=upload,
    )
    profiler.start()
    serve()
    signal.raise_signal(signal.SIGUSR2)  # from a shell: kill -USR2 PID
    upload.done.wait(60)


if __name__ == "__main__":
    main()
