"""Healthy: objects that come and go in a WeakValueDictionary, held by a bounded list."""

import weakref

from support.pace import rng, ticks


class Image:
    def __init__(self, name):
        self.name = name
        self.pixels = rng.randbytes(800)


known = weakref.WeakValueDictionary()
shown = []


def main():
    for i in ticks():
        for n in range(10):
            image = Image(f"{i}-{n}")
            known[image.name] = image
            shown.append(image)
        del shown[: -rng.randrange(150, 250)]


if __name__ == "__main__":
    main()
