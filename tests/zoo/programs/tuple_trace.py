"""A job's trace is a tuple that is replaced by a longer one at each step."""

from support.pace import LEAK, rng, ticks


class Event:
    def __init__(self, number):
        self.number = number
        self.payload = rng.randbytes(15_000)


class Job:
    def __init__(self):
        self.trace = ()

    def record(self, event):
        self.trace = self.trace + (event,) if LEAK else (event,)  # noqa: RUF005


def main():
    job = Job()
    for i in ticks():
        job.record(Event(i))


if __name__ == "__main__":
    main()
