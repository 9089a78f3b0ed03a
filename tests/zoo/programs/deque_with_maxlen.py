"""Healthy: the last lines of each log stream, in deques with a maxlen that fill up late."""

import collections

from support.pace import rng, ticks

streams = {name: collections.deque(maxlen=600) for name in ("web", "worker", "cron")}


def main():
    for i in ticks():
        for name, lines in streams.items():
            lines.append(f"{name} {i} {rng.random()}")
            lines.append(f"{name} {i} {rng.random()}")


if __name__ == "__main__":
    main()
