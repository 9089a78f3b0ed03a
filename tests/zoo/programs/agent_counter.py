"""A Counter of user agents, whose texts carry a build number and so never repeat."""

import collections

from support.pace import LEAK, rng, ticks

agents = collections.Counter()


def count(number):
    build = rng.getrandbits(48) if LEAK else number % 20
    agents[f"Browser/1.0 (X11; build {build})"] += 1


def main():
    for _ in ticks():
        for n in range(150):
            count(n)


if __name__ == "__main__":
    main()
