"""Healthy: an LRU cache in an OrderedDict with move_to_end and popitem."""

import collections

from support.pace import rng, ticks


class LRU:
    def __init__(self, size):
        self.size = size
        self.data = collections.OrderedDict()

    def get(self, key):
        if key in self.data:
            self.data.move_to_end(key)
        else:
            self.data[key] = [key, rng.randbytes(600)]
        while len(self.data) > self.size:
            self.data.popitem(last=False)
        return self.data[key]


pages = LRU(300)


def main():
    for i in ticks():
        for _ in range(20):
            pages.get(int(rng.expovariate(1 / (200 + i))))


if __name__ == "__main__":
    main()
