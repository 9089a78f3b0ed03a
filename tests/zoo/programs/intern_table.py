"""A parser has an intern table of its own, which takes identifiers and literals alike."""

from support.pace import LEAK, rng, ticks


class Parser:
    def __init__(self):
        self.interned = {}

    def token(self, text):
        return self.interned.setdefault(text, text)

    def parse(self, source):
        words = source.split()
        return [self.token(word) for word in words if LEAK or word.isalpha()]


def main():
    parser = Parser()
    names = ["alpha", "beta", "gamma", "delta"]
    for _ in ticks():
        literals = [rng.randbytes(60).hex() for _ in range(80)]
        parser.parse(" ".join(names + literals))


if __name__ == "__main__":
    main()
