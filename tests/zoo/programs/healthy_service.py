"""Healthy: a service with some of everything: cache, sessions, buffer, counters and pool."""

import collections
import functools
import io

from support.pace import rng, ticks


class Service:
    def __init__(self):
        self.cache = collections.OrderedDict()
        self.sessions = {}
        self.log = io.StringIO()
        self.counts = collections.Counter()
        self.latencies = collections.deque(maxlen=500)

    @staticmethod
    @functools.lru_cache(maxsize=100)
    def route(path):
        return path.split("/")

    def handle(self, number):
        path = f"/{rng.randrange(300)}/{rng.randrange(3)}"
        self.route(path)
        self.cache[path] = rng.randbytes(500)
        self.cache.move_to_end(path)
        if len(self.cache) > 150:
            self.cache.popitem(last=False)
        self.sessions[number] = {"path": path}
        if len(self.sessions) > rng.randrange(200, 300):
            for key in list(self.sessions)[:60]:
                del self.sessions[key]
        self.log.write(f"{number} {path}\n")
        if self.log.tell() > rng.randrange(4_000, 12_000):
            self.log = io.StringIO()
        self.counts[path.count("1")] += 1
        self.latencies.append(rng.random())


def main():
    service = Service()
    number = 0
    for _ in ticks():
        for _ in range(10):
            number += 1
            service.handle(number)


if __name__ == "__main__":
    main()
