"""Lazy pipelines over lines are made for each file, peeked at and never finished or dropped."""

from support.pace import LEAK, rng, ticks


def parsed(lines):
    for line in lines:
        yield line.split(":")


def large(records, limit):
    for record in records:
        if len(record) > limit:
            yield record


class Importer:
    def __init__(self):
        self.pipelines = []

    def open(self, number):
        lines = [f"{number}:{n}:{rng.random()}" for n in range(150)]
        pipeline = large(parsed(lines), 2)
        next(pipeline)
        self.pipelines.append(pipeline)
        if not LEAK:
            del self.pipelines[:-5]


importer = Importer()


def main():
    for i in ticks():
        importer.open(i)


if __name__ == "__main__":
    main()
