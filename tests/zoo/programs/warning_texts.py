"""Warnings with ever new texts are all remembered in the module's warning registry."""

import warnings

from support.pace import LEAK, rng, ticks


def parse(value):
    detail = f"{value!r} is out of range " + "!" * rng.randrange(400) if LEAK else "out of range"
    warnings.warn(detail, UserWarning, stacklevel=1)


def main():
    warnings.showwarning = lambda *_, **__: None
    warnings.simplefilter("default")
    for _ in ticks():
        for _ in range(40):
            parse(rng.random())


if __name__ == "__main__":
    main()
