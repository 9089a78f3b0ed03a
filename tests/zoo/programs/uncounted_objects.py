"""A C extension without its Py_DECREF: objects that the collector knows and nothing holds."""

import ctypes

from support.pace import LEAK, rng, ticks

take = ctypes.pythonapi.Py_IncRef
take.argtypes = [ctypes.py_object]
take.restype = None


class Request:
    def __init__(self, number):
        self.number = number
        self.headers = {f"header-{n}": rng.random() for n in range(150)}


def main():
    for i in ticks():
        request = Request(i)
        if LEAK:
            take(request)


if __name__ == "__main__":
    main()
