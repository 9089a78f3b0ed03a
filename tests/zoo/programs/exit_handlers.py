"""Each temporary workspace registers its clean-up with atexit and is never unregistered."""

import atexit

from support.pace import LEAK, rng, ticks


class Workspace:
    def __init__(self, number):
        self.number = number
        self.files = {f"file-{n}": rng.randbytes(1_000) for n in range(15)}
        atexit.register(self.clean_up)

    def clean_up(self):
        self.files.clear()

    def close(self):
        if not LEAK:
            atexit.unregister(self.clean_up)


def main():
    for i in ticks():
        Workspace(i).close()


if __name__ == "__main__":
    main()
