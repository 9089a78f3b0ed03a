"""A test runner captures all output in one StringIO and never cuts it."""

import io

from support.pace import LEAK, rng, ticks


class Capture:
    def __init__(self):
        self.output = io.StringIO()

    def write(self, text):
        self.output.write(text)
        if not LEAK and self.output.tell() > 300_000:
            self.output.seek(0)
            self.output.truncate()


capture = Capture()


def main():
    for i in ticks():
        capture.write(f"test {i} " + "." * rng.randrange(12_000, 24_000) + "\n")


if __name__ == "__main__":
    main()
