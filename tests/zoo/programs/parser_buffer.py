"""Healthy: a protocol parser's bytearray takes chunks and gives up whole frames."""

from support.pace import rng, ticks


class Parser:
    def __init__(self):
        self.buffer = bytearray()
        self.frames = 0

    def feed(self, data):
        self.buffer += data
        if len(self.buffer) > 160_000:
            whole = len(self.buffer) // 4096 * 4096
            self.frames += whole // 4096
            del self.buffer[:whole]


def main():
    parser = Parser()
    for _ in ticks():
        parser.feed(rng.randbytes(5_000))


if __name__ == "__main__":
    main()
