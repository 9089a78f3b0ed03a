"""A logger for each request, named by its id; the twin has one logger."""

import logging

from support.pace import LEAK, rng, ticks


def handle(number):
    name = f"app.requests.request-{number}-{rng.getrandbits(64):x}" if LEAK else "app.requests"
    log = logging.getLogger(name)
    log.debug("handled %d", number)


def main():
    for i in ticks():
        for n in range(20):
            handle(20 * i + n)


if __name__ == "__main__":
    main()
