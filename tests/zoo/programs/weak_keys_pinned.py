"""A WeakKeyDictionary whose values refer to their keys: no entry ever goes."""

import weakref

from support.pace import LEAK, rng, ticks


class Connection:
    def __init__(self, number):
        self.number = number


class Statistics:
    def __init__(self, connection):
        self.connection = connection if LEAK else connection.number
        self.samples = [rng.random() for _ in range(150)]


statistics = weakref.WeakKeyDictionary()


def main():
    for i in ticks():
        for n in range(3):
            connection = Connection(3 * i + n)
            statistics[connection] = Statistics(connection)


if __name__ == "__main__":
    main()
