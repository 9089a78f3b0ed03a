"""A context variable is made for each request and set in the context that lives on."""

import contextvars

from support.pace import LEAK, rng, ticks

CURRENT = contextvars.ContextVar("current")


class RequestState:
    def __init__(self, number):
        self.number = number
        self.data = rng.randbytes(15_000)


def handle(number):
    variable = contextvars.ContextVar(f"request-{number}") if LEAK else CURRENT
    variable.set(RequestState(number))


def main():
    for i in ticks():
        handle(i)


if __name__ == "__main__":
    main()
