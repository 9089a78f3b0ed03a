"""itertools.tee with one branch that is read and one that lags further and further behind."""

import itertools

from support.pace import LEAK, rng, ticks


def readings():
    while True:
        yield rng.random(), rng.randbytes(300)


def main():
    fast, slow = itertools.tee(readings())
    total = 0.0
    for i in ticks():
        for _ in range(60):
            total += next(fast)[0]
            if not LEAK or i % 10 == 0:
                next(slow)


if __name__ == "__main__":
    main()
