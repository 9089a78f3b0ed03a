"""A hand-written linked list: entries are appended at its tail, and the head never moves."""

from support.pace import LEAK, rng, ticks


class Entry:
    __slots__ = ("following", "payload")

    def __init__(self, payload):
        self.payload = payload
        self.following = None


class Log:
    def __init__(self):
        self.head = self.tail = Entry(b"start")

    def append(self, payload):
        self.tail.following = Entry(payload)
        self.tail = self.tail.following
        if not LEAK:
            self.head = self.tail


def main():
    log = Log()
    for _ in ticks():
        for _ in range(20):
            log.append(rng.randbytes(900))


if __name__ == "__main__":
    main()
