"""Results are put into a library's store under ever new keys by this program."""

from support import store
from support.pace import LEAK, rng, ticks


class Thumbnail:
    def __init__(self, name):
        self.name = name
        self.pixels = rng.randbytes(15_000)


def make_thumbnail(name):
    if store.recall(name) is None:
        store.remember(name, Thumbnail(name))
    return store.recall(name)


def main():
    for i in ticks():
        make_thumbnail(f"image-{i}")
        if not LEAK:
            store.forget(f"image-{i - 10}")


if __name__ == "__main__":
    main()
