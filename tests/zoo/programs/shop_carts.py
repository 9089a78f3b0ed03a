"""Shopping carts of visitors who never come back, in an OrderedDict without eviction."""

import collections

from support.pace import LEAK, rng, ticks


class Cart:
    def __init__(self, visitor):
        self.visitor = visitor
        self.items = [rng.randrange(10**6) for _ in range(30)]


class Shop:
    def __init__(self):
        self.carts = collections.OrderedDict()

    def cart(self, visitor):
        if visitor not in self.carts:
            self.carts[visitor] = Cart(visitor)
        self.carts.move_to_end(visitor)
        if not LEAK and len(self.carts) > 100:
            self.carts.popitem(last=False)
        return self.carts[visitor]


def main():
    shop = Shop()
    for i in ticks():
        for n in range(12):
            shop.cart(f"visitor-{i}-{n}")


if __name__ == "__main__":
    main()
