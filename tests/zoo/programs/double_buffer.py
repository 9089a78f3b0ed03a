"""Healthy: two lists take turns; one is filled while the other is shipped and emptied."""

from support.pace import rng, ticks


class Shipper:
    def __init__(self):
        self.front = []
        self.back = []

    def add(self, line):
        self.front.append(line)

    def swap(self):
        self.back.clear()
        self.front, self.back = self.back, self.front


def main():
    shipper = Shipper()
    for i in ticks():
        for _ in range(15):
            shipper.add(f"{i} {rng.random()}")
        if i % 31 == 30:
            shipper.swap()


if __name__ == "__main__":
    main()
