"""Events are appended to a list that belongs to another module."""

from support import audit
from support.pace import LEAK, rng, ticks


class Event:
    def __init__(self, kind, number):
        self.kind = kind
        self.details = {"number": number, "blob": rng.randbytes(1_000)}


def login(number):
    audit.EVENTS.append(Event("login", number))


def main():
    for i in ticks():
        for _ in range(12):
            login(i)
        if not LEAK:
            del audit.EVENTS[:-100]


if __name__ == "__main__":
    main()
