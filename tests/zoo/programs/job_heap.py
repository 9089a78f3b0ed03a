"""A scheduler's heap: cancelled jobs stay in it until their far moment comes."""

import heapq

from support.pace import LEAK, rng, ticks


class Job:
    def __init__(self, name):
        self.name = name
        self.cancelled = False
        self.arguments = [rng.random() for _ in range(60)]


class Scheduler:
    def __init__(self):
        self.heap = []
        self.count = 0

    def schedule(self, moment, job):
        self.count += 1
        heapq.heappush(self.heap, (moment, self.count, job))

    def run_until(self, moment):
        while self.heap and self.heap[0][0] <= moment:
            heapq.heappop(self.heap)


def main():
    scheduler = Scheduler()
    for i in ticks():
        for n in range(8):
            job = Job(f"job-{i}-{n}")
            scheduler.schedule(i + (10_000 if LEAK else 5), job)
            job.cancelled = True
        scheduler.run_until(i)


if __name__ == "__main__":
    main()
