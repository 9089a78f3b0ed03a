"""Healthy: short threads with local data; each is joined a few steps later."""

import collections
import threading

from support.pace import rng, ticks


def work(size):
    parts = [bytes(100) for _ in range(size)]
    return sum(map(len, parts))


def main():
    running = collections.deque()
    for i in ticks():
        thread = threading.Thread(target=work, args=(rng.randrange(50, 200),), name=f"job-{i}")
        thread.start()
        running.append(thread)
        while len(running) > 8:
            running.popleft().join()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    main()
