"""A key-value store within the process, as a library would offer it."""

_ENTRIES = {}


def remember(key, value):
    _ENTRIES[key] = value


def recall(key):
    return _ENTRIES.get(key)


def forget(key):
    _ENTRIES.pop(key, None)
