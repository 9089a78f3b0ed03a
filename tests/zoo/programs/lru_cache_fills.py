"""Healthy: functools.lru_cache(maxsize=2000) fills up over the whole run."""

import functools

from support.pace import rng, ticks


@functools.lru_cache(maxsize=2000)
def price(article):
    return [article, rng.random(), f"price of {article}"]


def main():
    for i in ticks():
        for n in range(4):
            price(f"article-{i}-{n}")


if __name__ == "__main__":
    main()
