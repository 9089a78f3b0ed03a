"""Healthy: changes wait in a dict until a commit, which comes every 32 to 33 steps."""

from support.pace import rng, ticks


class Transaction:
    def __init__(self):
        self.dirty = {}

    def change(self, key, value):
        self.dirty[key] = value

    def commit(self):
        count = len(self.dirty)
        self.dirty = {}
        return count


def main():
    transaction = Transaction()
    committed = 0
    for i in ticks():
        for n in range(15):
            transaction.change((i, n), [rng.random() for _ in range(5)])
        if i % 33 == 32:
            committed += transaction.commit()


if __name__ == "__main__":
    main()
