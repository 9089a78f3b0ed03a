"""A small event bus, as a library would offer it."""

import collections

_SUBSCRIBERS = collections.defaultdict(list)


def subscribe(topic, callback):
    _SUBSCRIBERS[topic].append(callback)
    return callback


def unsubscribe(topic, callback):
    _SUBSCRIBERS[topic].remove(callback)


def publish(topic, *arguments):
    for callback in tuple(_SUBSCRIBERS[topic]):
        callback(*arguments)
