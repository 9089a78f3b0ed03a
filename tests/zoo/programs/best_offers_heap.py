"""Healthy: a heap with the hundred best offers of all."""

import heapq

from support.pace import rng, ticks


class Offer:
    def __init__(self, price):
        self.price = price
        self.text = f"offer at {price}"

    def __lt__(self, other):
        return self.price < other.price


def main():
    best = []
    for _ in ticks():
        for _ in range(30):
            offer = Offer(rng.random())
            if len(best) < 100:
                heapq.heappush(best, offer)
            else:
                heapq.heappushpop(best, offer)


if __name__ == "__main__":
    main()
