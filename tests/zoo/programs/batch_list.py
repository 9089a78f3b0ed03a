"""Healthy: rows are written in batches of 32 steps; the list is longer at each snapshot by chance."""

from support.pace import rng, ticks


class Writer:
    def __init__(self):
        self.batch = []
        self.written = 0

    def add(self, row):
        self.batch.append(row)

    def flush(self):
        self.written += len(self.batch)
        self.batch.clear()


writer = Writer()


def main():
    for i in ticks():
        for n in range(20):
            writer.add({"id": i, "n": n, "value": rng.random()})
        if i % 32 == 31:
            writer.flush()


if __name__ == "__main__":
    main()
