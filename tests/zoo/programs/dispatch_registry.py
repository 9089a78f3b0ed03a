"""A single-dispatch function gains an implementation for each generated message class."""

import functools

from support.pace import LEAK, rng, ticks


@functools.singledispatch
def encode(message):
    return repr(message)


def register(number):
    kind = type(f"Message{number}", (), {"table": [rng.random() for _ in range(100)]})

    def encode_kind(message):
        return f"{number}:{message.table[0]}"

    if LEAK:
        encode.register(kind)(encode_kind)
    return encode_kind(kind())


def main():
    for i in ticks():
        for n in range(4):
            register(4 * i + n)


if __name__ == "__main__":
    main()
