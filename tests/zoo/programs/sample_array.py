"""A sensor's samples are appended to an array.array of the reader."""

import array

from support.pace import LEAK, rng, ticks


class Reader:
    def __init__(self):
        self.samples = array.array("d")

    def read(self):
        self.samples.extend(rng.random() for _ in range(2_500))
        if not LEAK and len(self.samples) > 20_000:
            del self.samples[:10_000]


def main():
    reader = Reader()
    for _ in ticks():
        reader.read()


if __name__ == "__main__":
    main()
