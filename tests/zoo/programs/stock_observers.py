"""Widgets observe a subject with bound methods, and are closed without being detached."""

from support.pace import LEAK, rng, ticks


class Stock:
    def __init__(self):
        self._observers = []
        self.price = 0.0

    def attach(self, observer):
        self._observers.append(observer)

    def detach(self, observer):
        self._observers.remove(observer)

    def change(self, price):
        self.price = price
        for observer in self._observers:
            observer(price)


class Widget:
    def __init__(self, stock):
        self.prices = [rng.random() for _ in range(400)]
        stock.attach(self.update)

    def update(self, price):
        self.prices[0] = price


def main():
    stock = Stock()
    for i in ticks():
        widget = Widget(stock)
        stock.change(float(i))
        if not LEAK:
            stock.detach(widget.update)


if __name__ == "__main__":
    main()
