"""Tiles of a map, each in an anonymous memory map, are cached by their number without a limit."""

import mmap

from support.pace import LEAK, rng, ticks

TILE_BYTES = 40_000
tiles = {}


def tile(number):
    if number not in tiles:
        if not LEAK and len(tiles) >= 20:
            tiles.pop(next(iter(tiles))).close()
        tiles[number] = mmap.mmap(-1, TILE_BYTES)
        tiles[number].write(rng.randbytes(1_000) * (TILE_BYTES // 1_000))
    return tiles[number]


def main():
    for i in ticks():
        tile(i)
        tile(max(0, i - 3))


if __name__ == "__main__":
    main()
