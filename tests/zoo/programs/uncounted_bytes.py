"""References to bytes that are taken in C and never given back; nothing leads to the bytes."""

import ctypes

from support.pace import LEAK, rng, ticks

take = ctypes.pythonapi.Py_IncRef
take.argtypes = [ctypes.py_object]
take.restype = None


def hand_over(data):
    if LEAK:
        take(data)
    return len(data)


def main():
    for _ in ticks():
        hand_over(rng.randbytes(rng.randrange(20_000, 40_000)))


if __name__ == "__main__":
    main()
