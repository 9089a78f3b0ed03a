"""Quotes are kept in order with bisect.insort, and old ones are never cut off."""

import bisect

from support.pace import LEAK, rng, ticks


class Quote:
    def __init__(self, price):
        self.price = price
        self.depth = [price] * 60

    def __lt__(self, other):
        return self.price < other.price


class Book:
    def __init__(self):
        self.quotes = []

    def add(self, quote):
        bisect.insort(self.quotes, quote)
        if not LEAK:
            del self.quotes[200:]


def main():
    book = Book()
    for _ in ticks():
        for _ in range(25):
            book.add(Quote(rng.random()))


if __name__ == "__main__":
    main()
