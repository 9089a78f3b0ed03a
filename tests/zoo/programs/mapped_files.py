"""Anonymous memory maps are kept in a list and never closed."""

import mmap

from support.pace import LEAK, rng, ticks

maps = []


def map_scratch(size):
    scratch = mmap.mmap(-1, size)
    scratch.write(rng.randbytes(1_000) * (size // 1_000))
    return scratch


def main():
    for _ in ticks():
        maps.append(map_scratch(40_000))
        if not LEAK:
            maps.pop().close()


if __name__ == "__main__":
    main()
