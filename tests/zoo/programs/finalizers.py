"""weakref.finalize with arguments that refer to the object itself: it never goes."""

import weakref

from support.pace import LEAK, rng, ticks


class Cursor:
    def __init__(self, number):
        self.number = number
        self.rows = rng.randbytes(15_000)
        weakref.finalize(self, Cursor.release, self if LEAK else number)

    @staticmethod
    def release(cursor):
        return cursor


def main():
    for i in ticks():
        Cursor(i)


if __name__ == "__main__":
    main()
