"""Each task adds a handler to the root logger of the application and does not remove it."""

import io
import logging

from support.pace import LEAK, rng, ticks

log = logging.getLogger("tasks")
log.propagate = False


def run_task(number):
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter(f"task {number}: %(message)s"))
    if LEAK or not log.handlers:
        log.addHandler(handler)
    log.warning("%s", rng.randbytes(12).hex())
    if not LEAK:
        log.removeHandler(handler)


def main():
    for i in ticks():
        run_task(i)


if __name__ == "__main__":
    main()
