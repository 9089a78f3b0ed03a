"""Audio samples in an array.array that is joined to a longer one each time."""

import array

from support.pace import LEAK, rng, ticks


class Recording:
    def __init__(self, rate):
        self.rate = rate
        self.wave = array.array("d")

    def add(self, block):
        self.wave = self.wave + block if LEAK else block


RECORDING = Recording(8000)


def main():
    for _ in ticks():
        level = rng.random()
        RECORDING.add(array.array("d", [level]) * 2000)


if __name__ == "__main__":
    main()
