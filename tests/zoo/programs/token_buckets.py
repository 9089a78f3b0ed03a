"""A limiter of requests keeps two numbers for each address; a few addresses ask again and again."""

import time

from support.pace import LEAK, rng, ticks


class Limiter:
    def __init__(self, rate):
        self.rate = rate
        self.buckets = {}

    def allow(self, address):
        now = time.monotonic()
        tokens, at = self.buckets.get(address, (self.rate, now))
        tokens = min(self.rate, tokens + (now - at) * self.rate) - 1.0
        self.buckets[address] = [tokens, now]
        return tokens > 0

    def forget_idle(self, most):
        while len(self.buckets) > most:
            del self.buckets[next(iter(self.buckets))]


limiter = Limiter(5.5)


def main():
    for i in ticks():
        for n in range(10):
            limiter.allow(f"10.0.{i % 250}.{i * 10 + n}")
            limiter.allow(f"10.1.0.{rng.randrange(200)}")
        if not LEAK:
            limiter.forget_idle(400)


if __name__ == "__main__":
    main()
