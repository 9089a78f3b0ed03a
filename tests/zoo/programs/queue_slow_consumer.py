"""A consumer thread takes one item of four from the queue between the threads."""

import queue
import threading

from support.pace import LEAK, rng, ticks


class Line:
    def __init__(self, text):
        self.text = text


class Shipper:
    def __init__(self):
        self.queue = queue.SimpleQueue() if not LEAK else queue.Queue()
        self.wake = threading.Semaphore(0)
        self.shipped = threading.Semaphore(0)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            self.wake.acquire()
            for _ in range(1 if LEAK else 4):
                self.queue.get()
            self.shipped.release()


shipper = Shipper()


def main():
    for i in ticks():
        for n in range(4):
            shipper.queue.put(Line(f"{i}.{n} " + rng.randbytes(3_000).hex()))
        shipper.wake.release()
        shipper.shipped.acquire()


if __name__ == "__main__":
    main()
