"""Healthy: patterns made from user input go through the cache of the re module, which is bounded."""

import re

from support.pace import rng, ticks


def main():
    matches = 0
    for i in ticks():
        for _ in range(3):
            pattern = rf"\b{rng.choice('abcdef')}\w{{{i % 9 + 1}}}{rng.randrange(900)}\b"
            matches += bool(re.search(pattern, "a small text to look at"))


if __name__ == "__main__":
    main()
