"""A handler is wrapped once more by a library's decorator at each reload."""

from support.handlers import timed
from support.pace import LEAK, rng, ticks


def plain(argument):
    return argument


class Endpoint:
    handler = staticmethod(plain)

    def reload(self, number):
        inner = self.handler if LEAK else plain
        self.handler = timed(inner, {"number": number, "data": rng.randbytes(15_000)})


ENDPOINT = Endpoint()


def main():
    for i in ticks():
        ENDPOINT.reload(i)


if __name__ == "__main__":
    main()
