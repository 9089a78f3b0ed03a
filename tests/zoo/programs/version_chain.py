"""Each version of a document links to the version before; only the newest is wanted."""

from support.pace import LEAK, rng, ticks


class Version:
    def __init__(self, previous, text):
        self.previous = previous
        self.text = text


class Document:
    current = None

    def edit(self, text):
        self.current = Version(self.current if LEAK else None, text)


DOCUMENT = Document()


def main():
    for i in ticks():
        DOCUMENT.edit(f"{i} " + rng.randbytes(9_000).hex())


if __name__ == "__main__":
    main()
