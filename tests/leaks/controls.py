"""Healthy programs that look a little like leaks, all in one process; memlens must be silent."""

import collections
import functools
import io
import json
import re
import weakref

import memlens

try:
    import cachetools
except ImportError:
    cachetools = None


class Page:
    def __init__(self, number):
        self.number = number
        self.body = bytearray(100)


class OrderedLRU:
    def __init__(self, maxsize):
        self.maxsize = maxsize
        self._data = collections.OrderedDict()

    def get(self, key):
        if key not in self._data:
            self._data[key] = Page(key)
            if len(self._data) > self.maxsize:
                self._data.popitem(last=False)
        self._data.move_to_end(key)


class DictWithCap(collections.OrderedDict):
    def __init__(self, capacity):
        super().__init__()
        self.capacity = capacity

    def put(self, key):
        self[key] = Page(key)
        while len(self) > self.capacity:
            self.popitem(last=False)


class Interned:
    __slots__ = ("name",)
    table = {}

    @classmethod
    def of(cls, name):
        return cls.table.setdefault(name, name)


class Expiring:
    """Entries live for fifty steps: a steady state."""

    def __init__(self):
        self.entries = {}

    def put(self, step):
        self.entries[step] = Page(step)
        for old in [key for key in self.entries if key <= step - 50]:
            del self.entries[old]


class Ring:
    def __init__(self, size):
        self.slots = [None] * size

    def put(self, step):
        self.slots[step % len(self.slots)] = Page(step)


class Batch:
    """Fills, and is flushed: at every snapshot somewhere else in its cycle."""

    def __init__(self):
        self.rows = []

    def put(self, step):
        self.rows.append(Page(step))
        if len(self.rows) >= 37:
            self.rows.clear()


@functools.lru_cache(maxsize=5000)
def filling(key):
    return Page(key)


@functools.lru_cache(maxsize=64)
def full(key):
    return Page(key)


lru_at_cap = OrderedLRU(40)
lru_filling = OrderedLRU(5000)
dict_filling = DictWithCap(5000)
recent = collections.deque(maxlen=5000)
expiring = Expiring()
ring = Ring(100)
batches = [Batch() for _ in range(3)]
weak_values = weakref.WeakValueDictionary()
weak_set = weakref.WeakSet()
held = []
buffer = io.BytesIO()
warm = {}
if cachetools is not None:
    cachetools_lru = cachetools.LRUCache(maxsize=5000)
    cachetools_ttl = cachetools.TTLCache(maxsize=5000, ttl=3600)


def step(i):
    lru_at_cap.get(i)
    lru_filling.get(i)
    dict_filling.put(i)
    recent.append(Page(i))
    expiring.put(i)
    ring.put(i)
    for number, batch in enumerate(batches):
        for _ in range(number + 1):
            batch.put(i)
    filling(i)
    full(i)
    Interned.of(f"name-{i % 30}")
    page = Page(i)
    weak_values[i] = page
    weak_set.add(page)
    held[:] = [page]
    buffer.seek(0)
    buffer.truncate()
    buffer.write(b"x" * (i % 1000))
    warm.setdefault(i % 80, Page(i))
    re.compile(f"a{i % 300}")
    if cachetools is not None:
        cachetools_lru[i] = Page(i)
        cachetools_ttl[i] = Page(i)


def main():
    snapshots = []
    done = 0
    for _ in range(5):
        for _ in range(130):
            step(done)
            done += 1
        snapshots.append(memlens.take_heap_snapshot(collect=True))
    suspects = memlens.find_leaks(snapshots[1:], limit=100)
    print(json.dumps([s.to_dict() for s in suspects]))


if __name__ == "__main__":
    main()
