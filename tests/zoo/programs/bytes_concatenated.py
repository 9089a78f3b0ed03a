"""A connection's received bytes are joined to one longer value, parsed or not."""

from support.pace import LEAK, rng, ticks


class Connection:
    def __init__(self):
        self.received = b""
        self.frames = 0

    def feed(self, chunk):
        self.received = self.received + chunk
        end = self.received.rfind(b"\n")
        self.frames += chunk.count(b"\n")
        if not LEAK:
            self.received = self.received[end + 1 :]


CONNECTION = Connection()


def main():
    for _ in ticks():
        CONNECTION.feed(rng.randbytes(20_000) + b"\n" + rng.randbytes(rng.randrange(200)))


if __name__ == "__main__":
    main()
