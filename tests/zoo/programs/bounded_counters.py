"""Healthy: counters with a few keys count up for ever, in numbers and not in entries."""

import collections

from support.pace import rng, ticks

by_status = collections.Counter()
by_path = collections.defaultdict(collections.Counter)


def main():
    for i in ticks():
        for _ in range(60):
            status = rng.choice([200, 200, 200, 301, 404, 500])
            by_status[status] += 10**6 + i
            by_path[f"/{rng.randrange(12)}"][status] += 10**6


if __name__ == "__main__":
    main()
