"""A protocol trace is written to a bytearray and cut only when somebody asks for it."""

from support.pace import LEAK, rng, ticks

trail = bytearray()


def trace(direction, data):
    trail.extend(direction.encode() + data + b"\n")
    if not LEAK and len(trail) > 200_000:
        del trail[:150_000]


def main():
    for _ in ticks():
        trace("> ", rng.randbytes(10_000))
        trace("< ", rng.randbytes(rng.randrange(10_000)))


if __name__ == "__main__":
    main()
