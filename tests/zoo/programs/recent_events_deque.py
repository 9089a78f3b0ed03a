"""Recent events in a deque: somebody forgot its maxlen."""

import collections

from support.pace import LEAK, rng, ticks


class Event:
    def __init__(self, number):
        self.number = number
        self.fields = {"number": number, "trace": rng.randbytes(1_200)}


recent = collections.deque(maxlen=None if LEAK else 200)


def main():
    for i in ticks():
        for _ in range(10):
            recent.append(Event(i))


if __name__ == "__main__":
    main()
