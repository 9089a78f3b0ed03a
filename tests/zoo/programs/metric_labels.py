"""Metrics with the request's id as a label: a child for each combination of labels."""

from support.pace import LEAK, rng, ticks


class Child:
    def __init__(self):
        self.value = 0.0
        self.buckets = [0] * 30


class Metric:
    def __init__(self, name):
        self.name = name
        self._children = {}

    def labels(self, **labels):
        key = tuple(sorted(labels.items()))
        if key not in self._children:
            self._children[key] = Child()
        return self._children[key]


LATENCY = Metric("latency_seconds")


def handle(path, identifier):
    LATENCY.labels(path=path, request=identifier if LEAK else "-").value += 1


def main():
    for i in ticks():
        for n in range(25):
            handle(rng.choice(["/a", "/b", "/c"]), f"{i}-{n}")


if __name__ == "__main__":
    main()
