"""A context variable's value is a tuple of spans to which each request adds one."""

import contextvars

from support.pace import LEAK, rng, ticks

SPANS = contextvars.ContextVar("spans", default=())


class Span:
    def __init__(self, number):
        self.number = number
        self.tags = {f"tag-{n}": rng.random() for n in range(150)}


def traced(number):
    token = SPANS.set((*SPANS.get(), Span(number)))
    if not LEAK:
        SPANS.reset(token)


def main():
    for i in ticks():
        traced(i)


if __name__ == "__main__":
    main()
