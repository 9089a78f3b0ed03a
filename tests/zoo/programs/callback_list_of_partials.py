"""functools.partial objects in a list of hooks keep the large argument each."""

import functools

from support.pace import LEAK, rng, ticks


class Application:
    def __init__(self):
        self.shutdown_hooks = []

    def on_shutdown(self, hook):
        self.shutdown_hooks.append(hook)


def flush(data, number):
    return len(data) + number


def main():
    application = Application()
    for i in ticks():
        hook = functools.partial(flush, rng.randbytes(15_000), i)
        application.on_shutdown(hook)
        if not LEAK:
            application.shutdown_hooks.pop()()


if __name__ == "__main__":
    main()
