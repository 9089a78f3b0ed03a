"""functools.lru_cache without a bound on a method keeps every instance."""

import functools

from support.pace import LEAK, rng, ticks


class Invoice:
    def __init__(self, number):
        self.number = number
        self.lines = [rng.random() for _ in range(400)]

    @functools.lru_cache(maxsize=None if LEAK else 16)  # noqa: B019 - this is the leak
    def total(self, currency):
        return sum(self.lines), currency


def main():
    for i in ticks():
        invoice = Invoice(i)
        invoice.total("EUR")
        invoice.total("USD")


if __name__ == "__main__":
    main()
