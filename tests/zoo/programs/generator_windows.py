"""Sixty suspended generators of one function, each with a window that is never cut."""

from support.pace import LEAK, rng, ticks


class Sample:
    def __init__(self, value):
        self.value = value
        self.raw = rng.randbytes(400)


def smoothed(sensor):
    window = []
    mean = None
    while True:
        value = yield sensor, mean
        window.append(Sample(value))
        if not LEAK:
            del window[:-8]
        mean = sum(sample.value for sample in window[-8:]) / 8


def main():
    sensors = [smoothed(n) for n in range(60)]
    for sensor in sensors:
        next(sensor)
    for _ in ticks():
        for sensor in sensors:
            sensor.send(rng.random())


if __name__ == "__main__":
    main()
