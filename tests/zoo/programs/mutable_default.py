"""A mutable default argument collects what every call adds."""

from support.pace import LEAK, rng, ticks


class Item:
    def __init__(self, name):
        self.name = name
        self.tags = [rng.random() for _ in range(40)]


def collect(names, found=[]):  # noqa: B006 - this is the leak
    if not LEAK:
        found = []
    for name in names:
        found.append(Item(name))
    return len(found)


def main():
    for i in ticks():
        collect([f"item-{i}-{n}" for n in range(15)])


if __name__ == "__main__":
    main()
