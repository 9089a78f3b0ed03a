"""A capture tool keeps a big array for each scene change in an attribute of its state."""

import array
import itertools

from support.pace import LEAK, STEPS, ticks


class Scene:
    def __init__(self, number):
        self.number = number
        self.pixels = array.array("d", bytes(8 << 20))


class Capture:
    def __init__(self):
        self.scenes = []
        self.numbers = itertools.count()

    def change(self):
        self.scenes.append(Scene(next(self.numbers)))
        if not LEAK:
            del self.scenes[:-2]


capture = Capture()


def main():
    for i in ticks():
        if i % (STEPS // 8) == 5:
            capture.change()


if __name__ == "__main__":
    main()
