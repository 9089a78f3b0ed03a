"""Healthy: logging's MemoryHandler flushes when it has 640 records."""

import io
import logging
import logging.handlers

from support.pace import rng, ticks

target = logging.StreamHandler(io.StringIO())
handler = logging.handlers.MemoryHandler(640, target=target)
log = logging.getLogger("batch")
log.propagate = False
log.setLevel(logging.INFO)
log.addHandler(handler)


def main():
    for i in ticks():
        for n in range(20):
            log.info("step %d part %d value %f", i, n, rng.random())
        if target.stream.tell() > 100_000:
            target.setStream(io.StringIO())


if __name__ == "__main__":
    main()
