"""Compare the bounded cache with cachetools: lookups, stores and decorated functions.

Run: ``python benchmarks/structures_caches.py``
"""

from __future__ import annotations

import functools
import sys
import threading
import timeit

import cachetools

from memlens.structures import LRUCache, cached

SIZE = 1000
KEYS = [f"key-{number}" for number in range(SIZE)]
MORE = [f"key-{number}" for number in range(SIZE * 20)]


class Locked:
    """A cachetools cache with a lock, as its manual recommends for threads."""

    def __init__(self, cache):
        self.cache, self.lock = cache, threading.Lock()

    def get(self, key):
        with self.lock:
            return self.cache.get(key)

    def __setitem__(self, key, value):
        with self.lock:
            self.cache[key] = value


def nanoseconds(function, count):
    return min(timeit.repeat(function, number=20, repeat=7)) / 20 / count * 1e9


def hit(cache):
    for key in KEYS:
        cache[key] = key
    get = cache.get
    return nanoseconds(lambda: [get(key) for key in KEYS], SIZE)


def store(cache):
    def fill():
        for key in MORE:
            cache[key] = key

    return min(timeit.repeat(fill, number=1, repeat=5)) / len(MORE) * 1e9


def replace(cache):
    for key in KEYS:
        cache[key] = key

    def store_again():
        for key in KEYS:
            cache[key] = key

    return nanoseconds(store_again, SIZE)


def call(decorate):
    function = decorate(lambda number: number)
    numbers = range(SIZE)
    return nanoseconds(lambda: [function(number) for number in numbers], SIZE)


def print_table(title, rows, base):
    print(f"\n{title:<44}{'ns':>8}{'ratio':>8}")
    for name, value in rows.items():
        print(f"  {name:<42}{value:8.0f}{value / rows[base]:8.2f}")


def main():
    print(f"Python {sys.version.split()[0]}, cachetools {cachetools.__version__}")
    caches = {
        "memlens LRUCache(ttl)": lambda: LRUCache(SIZE, ttl=3600),
        "memlens LRUCache (no age)": lambda: LRUCache(SIZE, ttl=None),
        "memlens LRUCache(ttl, max_bytes)": lambda: LRUCache(SIZE, max_bytes=10**9, ttl=3600),
        "cachetools TTLCache (no lock)": lambda: cachetools.TTLCache(SIZE, 3600),
        "cachetools TTLCache + Lock": lambda: Locked(cachetools.TTLCache(SIZE, 3600)),
        "cachetools LRUCache (no lock, no age)": lambda: cachetools.LRUCache(SIZE),
        "cachetools LRUCache + Lock": lambda: Locked(cachetools.LRUCache(SIZE)),
    }
    base = "memlens LRUCache(ttl)"
    print_table("get, hit", {name: hit(make()) for name, make in caches.items()}, base)
    print_table("set, with eviction", {n: store(make()) for n, make in caches.items()}, base)
    print_table("set, existing key", {n: replace(make()) for n, make in caches.items()}, base)
    lock = threading.Lock()
    decorators = {
        "memlens cached(ttl)": cached(ttl=3600),
        "memlens cached (no age)": cached(ttl=None),
        "cachetools cached(TTLCache, lock)": cachetools.cached(
            cachetools.TTLCache(SIZE, 3600), lock=lock
        ),
        "functools.lru_cache (C, no age)": functools.lru_cache(SIZE),
    }
    calls = {name: call(decorate) for name, decorate in decorators.items()}
    print_table("decorated function, hit", calls, "memlens cached(ttl)")


if __name__ == "__main__":
    main()
