"""A batch runner keeps the future of each job that its pool has done."""

import concurrent.futures

from support.pace import LEAK, rng, ticks


class Runner:
    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(max_workers=4)
        self.submitted = []

    def submit(self, size):
        future = self.pool.submit(rng.randbytes, size)
        self.submitted.append(future)
        future.result()
        if not LEAK:
            self.submitted = [one for one in self.submitted if not one.done()]


def main():
    runner = Runner()
    for _ in ticks():
        runner.submit(rng.randrange(10_000, 20_000))
    runner.pool.shutdown()


if __name__ == "__main__":
    main()
