"""functools.cache on a function of a free text that is different each time."""

import functools

from support.pace import LEAK, rng, ticks


class Statement:
    def __init__(self, tokens):
        self.tokens = tokens


@functools.lru_cache(maxsize=None if LEAK else 64)
def parse(query):
    return Statement(query.split())


def main():
    for i in ticks():
        for n in range(20):
            parse(f"select * from t{rng.randrange(9)} where id = {i} and part = {n} limit 20")


if __name__ == "__main__":
    main()
