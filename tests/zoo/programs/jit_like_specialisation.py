"""Healthy: functions are specialised by the types of their arguments, of which there are few."""

import itertools

from support.pace import rng, ticks

KINDS = [int, float, str, bytes, tuple, list, dict, set, frozenset, complex, range]
SIGNATURES = list(itertools.product(KINDS, KINDS))
specialised = {}


def specialise(signature):
    if signature not in specialised:
        names = "_".join(kind.__name__ for kind in signature)
        namespace = {}
        exec(f"def add_{names}(a, b):\n    return (a, b, {rng.random()})\n", namespace)
        specialised[signature] = namespace[f"add_{names}"]
    return specialised[signature]


def main():
    for i in ticks():
        specialise(rng.choice(SIGNATURES))(i, i + 1)


if __name__ == "__main__":
    main()
