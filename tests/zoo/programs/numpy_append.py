"""Measurements in a numpy array that is replaced by a longer one with numpy.append."""

import numpy as np
from support.pace import LEAK, SEED, ticks


class Recorder:
    def __init__(self):
        self.samples = np.empty(0)

    def add(self, values):
        self.samples = np.append(self.samples, values)
        if not LEAK:
            self.samples = self.samples[-5000:].copy()


def main():
    recorder = Recorder()
    random = np.random.default_rng(SEED)
    for _ in ticks():
        recorder.add(random.random(2500))


if __name__ == "__main__":
    main()
