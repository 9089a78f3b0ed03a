"""Healthy: a service replaces its model by a larger one now and then; one is alive at a time."""

from support.pace import STEPS, ticks


class Predictor:
    def __init__(self):
        self.reloads = 0
        self.reload()

    def reload(self):
        self.reloads += 1
        self.weights = bytes((8 << 20) + self.reloads % 3 * (1 << 20))


def main():
    predictor = Predictor()
    for i in ticks():
        if i % (STEPS // 10) == 0:
            predictor.reload()


if __name__ == "__main__":
    main()
