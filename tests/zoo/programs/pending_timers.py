"""A timeout timer for each request that is never cancelled: its thread stays."""

import threading

from support.pace import LEAK, rng, ticks


class Request:
    def __init__(self, number):
        self.number = number
        self.body = rng.randbytes(60_000)

    def expire(self):
        self.body = b""


def main():
    for i in ticks():
        if i % 2:
            continue
        request = Request(i)
        timer = threading.Timer(3600, request.expire)
        timer.daemon = True
        timer.start()
        if not LEAK:
            timer.cancel()
            timer.join()


if __name__ == "__main__":
    main()
