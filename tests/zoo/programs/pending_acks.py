"""A message broker's client waits for acknowledgements, some of which never come."""

from support.pace import LEAK, rng, ticks


class Delivery:
    def __init__(self, tag):
        self.tag = tag
        self.body = rng.randbytes(4_000)


class Channel:
    def __init__(self):
        self.unacked = {}
        self.tag = 0

    def deliver(self):
        self.tag += 1
        self.unacked[self.tag] = Delivery(self.tag)
        return self.tag

    def ack(self, tag):
        self.unacked.pop(tag, None)


def main():
    channel = Channel()
    for _ in ticks():
        for _ in range(10):
            tag = channel.deliver()
            if not LEAK or rng.random() < 0.5:
                channel.ack(tag)


if __name__ == "__main__":
    main()
