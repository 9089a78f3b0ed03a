"""Healthy: rows wait in a deque that a writer empties at random moments."""

import collections

from support.pace import rng, ticks


class Row:
    def __init__(self, number):
        self.number = number
        self.cells = [rng.random() for _ in range(6)]


pending = collections.deque()


def main():
    written = 0
    for i in ticks():
        for _ in range(12):
            pending.append(Row(i))
        if rng.random() < 0.03:
            while pending:
                pending.popleft()
                written += 1


if __name__ == "__main__":
    main()
