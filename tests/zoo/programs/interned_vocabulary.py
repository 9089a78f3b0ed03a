"""Healthy: words of a finite vocabulary are interned; rare ones are met late."""

import sys

from support.pace import rng, ticks

VOCABULARY = [f"word{n:05d}" for n in range(600)]
index = {}


def main():
    for _ in ticks():
        for _ in range(60):
            number = rng.randrange(600 if rng.random() < 0.2 else 100)
            word = sys.intern("term:" + VOCABULARY[number])
            index[word] = index.get(word, 0) + 1


if __name__ == "__main__":
    main()
