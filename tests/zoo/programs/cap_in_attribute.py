"""Healthy: a cache fills up slowly to the cap that an attribute of its owner states."""

from support.pace import rng, ticks


class TileCache:
    def __init__(self, max_entries):
        self.max_entries = max_entries
        self.tiles = {}

    def get(self, x, y):
        if (x, y) not in self.tiles:
            if len(self.tiles) >= self.max_entries:
                self.tiles.pop(next(iter(self.tiles)))
            self.tiles[x, y] = rng.randbytes(300)
        return self.tiles[x, y]


tiles = TileCache(max_entries=3000)


def main():
    for i in ticks():
        for _ in range(6):
            tiles.get(i, rng.randrange(500))


if __name__ == "__main__":
    main()
