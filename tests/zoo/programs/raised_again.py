"""One exception instance is raised again and again, and collects a traceback each time."""

from support.pace import LEAK, rng, ticks


class Unavailable(Exception):
    pass


UNAVAILABLE = Unavailable("try again later")


def call(document):
    copy = bytes(reversed(document))
    if copy:
        raise UNAVAILABLE if LEAK else Unavailable("try again later")


def main():
    for _ in ticks():
        try:
            call(rng.randbytes(8_000))
        except Unavailable:
            continue


if __name__ == "__main__":
    main()
