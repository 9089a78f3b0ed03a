"""Healthy: a pool opens connections on demand, up to its maximum, over the first part of the run."""

from support.pace import rng, ticks


class Connection:
    def __init__(self, number):
        self.number = number
        self.buffer = bytearray(20_000)


class Pool:
    def __init__(self, maximum):
        self.maximum = maximum
        self.free = []
        self.opened = []

    def acquire(self):
        if self.free:
            return self.free.pop()
        if len(self.opened) < self.maximum:
            self.opened.append(Connection(len(self.opened)))
            return self.opened[-1]
        return None


pool = Pool(50)


def main():
    for i in ticks():
        wanted = min(60, 1 + i // 5 + rng.randrange(3))
        taken = [one for one in (pool.acquire() for _ in range(wanted)) if one]
        pool.free.extend(taken)


if __name__ == "__main__":
    main()
