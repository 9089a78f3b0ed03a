"""A cache in a base class is shared by all subclasses and keyed by instance values."""

from support.pace import LEAK, rng, ticks


class Model:
    cache = {}

    @classmethod
    def get(cls, key):
        found = Model.cache.get((cls, key))
        if found is None:
            found = Model.cache[cls, key] = cls(key)
        return found

    def __init__(self, key):
        self.key = key
        self.columns = rng.randbytes(9_000)


class Customer(Model):
    pass


class Order(Model):
    pass


def main():
    for i in ticks():
        Customer.get(f"customer-{i}")
        Order.get(f"order-{i}")
        Order.get(f"order-{rng.randrange(i + 1)}")
        if not LEAK and len(Model.cache) > 60:
            Model.cache.clear()


if __name__ == "__main__":
    main()
