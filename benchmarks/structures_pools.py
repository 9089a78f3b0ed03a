"""What does a pool cost against a queue, and when is it worth it?

Run: ``python benchmarks/structures_pools.py``
"""

from __future__ import annotations

import queue
import sys
import timeit

from memlens.structures import BufferPool, ObjectPool


class Thing:
    pass


def microseconds(function, number=20_000):
    return min(timeit.repeat(function, number=number, repeat=5)) / number * 1e6


def through(take, give):
    return microseconds(lambda: give(take()))


def leased(pool):
    def use():
        with pool.lease():
            pass

    return microseconds(use)


def filled(kind):
    made = kind()
    for _ in range(10):
        made.put(Thing())
    return made


def fill(buffer, data):
    """Do what readinto() does, so that fresh memory is paid for where it is touched."""
    buffer[:] = data
    return buffer


def main():
    print(f"Python {sys.version.split()[0]}")
    queues = {kind.__name__: filled(kind) for kind in (queue.Queue, queue.LifoQueue)}
    simple = filled(queue.SimpleQueue)
    pool, bare = ObjectPool(Thing, max_size=10), ObjectPool(Thing, max_size=10, frames=0)
    rows = {
        "memlens ObjectPool": through(pool.acquire, pool.release),
        "memlens ObjectPool(frames=0)": through(bare.acquire, bare.release),
        "memlens ObjectPool, with lease()": leased(pool),
        **{f"queue.{n}": through(made.get, made.put) for n, made in queues.items()},
        "queue.SimpleQueue (C; no bound, no checks)": through(simple.get, simple.put),
    }
    print(f"{'take and give back':<46}{'us':>8}{'ratio':>8}")
    for name, value in rows.items():
        print(f"  {name:<44}{value:8.2f}{value / rows['memlens ObjectPool']:8.2f}")
    print(f"\n{'fill, in us':<20}{'new bytearray':>16}{'BufferPool':>14}{'zero=False':>14}")
    for size in (4096, 65536, 1 << 20, 1 << 24):
        kept, dirty = BufferPool(size, 2), BufferPool(size, 2, zero=False)
        number = max(20, min(20_000, (1 << 28) // size))
        data = b"x" * size
        new = microseconds(lambda d=data: fill(bytearray(len(d)), d), number)
        pooled = microseconds(lambda p=kept, d=data: p.release(fill(p.acquire(), d)), number)
        unzeroed = microseconds(lambda p=dirty, d=data: p.release(fill(p.acquire(), d)), number)
        print(f"  {size:<18,}{new:16.2f}{pooled:14.2f}{unzeroed:14.2f}")


if __name__ == "__main__":
    main()
