"""Healthy: a BytesIO is written to and truncated at random moments."""

import io

from support.pace import rng, ticks

buffer = io.BytesIO()


def main():
    shipped = 0
    limit = 300_000
    for _ in ticks():
        buffer.write(rng.randbytes(rng.randrange(5_000, 15_000)))
        if buffer.tell() > limit:
            shipped += buffer.tell()
            buffer.seek(0)
            buffer.truncate()
            limit = rng.randrange(150_000, 400_000)


if __name__ == "__main__":
    main()
