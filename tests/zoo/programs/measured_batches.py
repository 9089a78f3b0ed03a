"""Healthy: measurements in three shapes are sent in batches; each batch is longer when observed."""

import time
from dataclasses import dataclass

from support.pace import rng, ticks

KIND = "click of a visitor"


@dataclass(slots=True)
class Event:
    at: float
    number: int
    kind: str


class Batches:
    def __init__(self):
        self.points = []
        self.pairs = []
        self.events = []
        self.sent = 0

    def send(self):
        self.sent += len(self.points)
        self.points.clear()
        self.pairs.clear()
        self.events.clear()


batches = Batches()


def main():
    number = 5000
    for i in ticks():
        for _ in range(15):
            number += 1
            batches.points.append((time.time(), rng.random()))
            batches.pairs.append([time.time(), rng.random()])
            batches.events.append(Event(time.time(), number, KIND))
        if i % 32 == 31:
            batches.send()


if __name__ == "__main__":
    main()
