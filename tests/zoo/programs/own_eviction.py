"""Healthy: a hand-written cache that drops its oldest tenth when it is full."""

from support.pace import rng, ticks

LIMIT = 400


class Entry:
    def __init__(self, key):
        self.key = key
        self.body = rng.randbytes(500)


class Cache:
    def __init__(self):
        self.entries = {}

    def get(self, key):
        if key not in self.entries:
            if len(self.entries) >= LIMIT:
                for old in list(self.entries)[: LIMIT // 10]:
                    del self.entries[old]
            self.entries[key] = Entry(key)
        return self.entries[key]


cache = Cache()


def main():
    for i in ticks():
        for _ in range(15):
            cache.get(f"key-{rng.randrange(i * 15 + 15)}")


if __name__ == "__main__":
    main()
