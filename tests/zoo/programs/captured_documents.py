"""Callbacks for a progress bar close over the whole document, and are never removed."""

from support.pace import LEAK, rng, ticks

callbacks = []


def open_document(number):
    document = rng.randbytes(20_000)
    callbacks.append(lambda: (number, len(document)))


def main():
    for i in ticks():
        open_document(i)
        if not LEAK:
            callbacks.pop()()


if __name__ == "__main__":
    main()
