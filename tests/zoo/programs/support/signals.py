"""Signals with receivers that are held strongly, as a library would offer them."""


class Signal:
    def __init__(self, name):
        self.name = name
        self.receivers = []

    def connect(self, receiver, sender=None):
        self.receivers.append((id(sender), receiver))

    def disconnect(self, receiver):
        self.receivers = [pair for pair in self.receivers if pair[1] != receiver]

    def send(self, **arguments):
        return [receiver(**arguments) for _, receiver in self.receivers]
