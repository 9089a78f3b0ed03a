"""Views connect a bound method to a signal of a library and are never disconnected."""

from support.pace import LEAK, rng, ticks
from support.signals import Signal

model_saved = Signal("model_saved")


class View:
    def __init__(self, number):
        self.number = number
        self.rendered = rng.randbytes(15_000)
        model_saved.connect(self.refresh)

    def refresh(self, **_):
        return self.number

    def close(self):
        if not LEAK:
            model_saved.disconnect(self.refresh)


def main():
    for i in ticks():
        view = View(i)
        view.close()
        if i % 50 == 0:
            model_saved.send(key=i)


if __name__ == "__main__":
    main()
