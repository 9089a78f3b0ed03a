"""One ExitStack for the life of the worker: each job enters a context and none is left."""

import contextlib

from support.pace import LEAK, rng, ticks


class Lock:
    def __init__(self, number):
        self.number = number
        self.owner = rng.randbytes(15_000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.owner = b""


def worker(stack):
    for i in ticks():
        if LEAK:
            stack.enter_context(Lock(i))
        else:
            with contextlib.ExitStack() as job:
                job.enter_context(Lock(i))


def main():
    with contextlib.ExitStack() as stack:
        worker(stack)


if __name__ == "__main__":
    main()
