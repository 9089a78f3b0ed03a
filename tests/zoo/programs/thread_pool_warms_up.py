"""Healthy: a pool of sixteen threads starts its threads as the load rises."""

import concurrent.futures
import time

from support.pace import STEPS, rng, ticks


def main():
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        for i in ticks():
            load = min(16, 1 + 20 * i // STEPS)
            jobs = [pool.submit(time.sleep, rng.random() / 1000) for _ in range(load)]
            concurrent.futures.wait(jobs)


if __name__ == "__main__":
    main()
