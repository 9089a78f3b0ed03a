"""A set of all message ids, against duplicates, for ever."""

from support.pace import LEAK, rng, ticks


class Inbox:
    def __init__(self):
        self.seen_ids = set()
        self.duplicates = 0

    def receive(self, identifier):
        if identifier in self.seen_ids:
            self.duplicates += 1
        self.seen_ids.add(identifier)
        if not LEAK and len(self.seen_ids) > 2_000:
            self.seen_ids.clear()


def main():
    inbox = Inbox()
    for _ in ticks():
        for _ in range(120):
            inbox.receive(f"{rng.getrandbits(128):032x}")


if __name__ == "__main__":
    main()
