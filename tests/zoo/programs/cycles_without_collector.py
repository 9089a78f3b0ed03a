"""The collector is turned off for speed, and each document is a cycle."""

import gc

from support.pace import LEAK, rng, ticks


class Element:
    def __init__(self, parent):
        self.parent = parent
        self.children = []
        self.text = rng.randbytes(700)


def parse(count):
    root = Element(None)
    root.children = [Element(root) for _ in range(count)]
    return len(root.children)


def main():
    if LEAK:
        gc.disable()
    for _ in ticks():
        parse(20)


if __name__ == "__main__":
    main()
