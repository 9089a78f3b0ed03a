"""A test double was left in: it records every call with its arguments."""

from unittest import mock

from support.pace import LEAK, rng, ticks


class Gateway:
    def send(self, document):
        return len(document)


def main():
    gateway = mock.Mock(spec=Gateway) if LEAK else Gateway()
    for i in ticks():
        gateway.send({"id": i, "text": rng.randbytes(9_000).hex()})


if __name__ == "__main__":
    main()
