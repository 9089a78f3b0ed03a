"""Healthy: a dict with a time to live; entries are dropped after some steps."""

from support.pace import rng, ticks


class Expiring:
    def __init__(self, life):
        self.life = life
        self.entries = {}
        self.order = []

    def put(self, key, value, now):
        self.entries[key] = (now, value)
        self.order.append((now, key))

    def sweep(self, now):
        while self.order and self.order[0][0] < now - self.life:
            _, key = self.order.pop(0)
            self.entries.pop(key, None)


tokens = Expiring(30)


def main():
    for i in ticks():
        for _ in range(rng.randrange(1, 12)):
            tokens.put(f"{rng.getrandbits(64):x}", {"issued": i}, i)
        tokens.sweep(i)


if __name__ == "__main__":
    main()
