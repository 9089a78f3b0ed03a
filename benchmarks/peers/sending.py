"""Run a program with Pyroscope's profiler of memory, which sends profiles to a server.

python sending.py ADDRESS PROGRAM
"""

from __future__ import annotations

import os
import runpy
import sys

import pyroscope


def main() -> None:
    """Profile memory only, and send every second."""
    address, program = sys.argv[1:]
    pyroscope.configure(
        application_name="peers",
        server_address=address,
        cpu_enabled=False,
        mem_enabled=True,
        mem_heap_sample_size=64 * 1024,
        upload_interval=1,
    )
    sys.argv = [program]
    sys.path[0] = os.path.dirname(program)
    runpy.run_path(program, run_name="__main__")
    pyroscope.shutdown()


if __name__ == "__main__":
    main()
