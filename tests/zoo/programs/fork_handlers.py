"""Each client registers what to do after a fork, which cannot be taken back."""

import os

from support.pace import LEAK, rng, ticks


class Client:
    def __init__(self, number):
        self.number = number
        self.buffer = rng.randbytes(15_000)
        if LEAK:
            os.register_at_fork(after_in_child=self.reset_after_fork)

    def reset_after_fork(self):
        self.buffer = b""


def main():
    size = 0
    for i in ticks():
        size += len(Client(i).buffer)


if __name__ == "__main__":
    main()
