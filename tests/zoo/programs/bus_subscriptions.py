"""Orders subscribe to an event bus of a library; the place to mend is in this program."""

from support import eventbus
from support.pace import LEAK, rng, ticks


class Order:
    def __init__(self, number):
        self.number = number
        self.lines = [rng.random() for _ in range(400)]

    def on_paid(self, number):
        return number == self.number


def take_order(number):
    order = Order(number)
    eventbus.subscribe("paid", order.on_paid)
    return order


def main():
    for i in ticks():
        order = take_order(i)
        if not LEAK:
            eventbus.unsubscribe("paid", order.on_paid)
        if i % 40 == 0:
            eventbus.publish("paid", i)


if __name__ == "__main__":
    main()
