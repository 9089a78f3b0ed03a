"""An object makes itself a functools.cache of its own method, one for its whole life."""

import functools

from support.pace import LEAK, rng, ticks


class Geocoder:
    def __init__(self):
        maxsize = None if LEAK else 32
        self.lookup = functools.lru_cache(maxsize)(self._lookup)

    def _lookup(self, address):
        return {"address": address, "tile": rng.randbytes(3_000)}


def main():
    geocoder = Geocoder()
    for i in ticks():
        for n in range(5):
            geocoder.lookup(f"{n} Main Street, Town {i}")


if __name__ == "__main__":
    main()
