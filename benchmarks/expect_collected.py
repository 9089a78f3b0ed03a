"""What ``expect_collected`` costs for each object, beside a weak reference with a callback.

    python benchmarks/expect_collected.py

Both are measured on objects that are collected at once, in turn, and the best of several rounds
counts. The limit is 3 µs an object.
"""

import time
import weakref

import memlens

COUNT = 100_000
ROUNDS = 7
LIMIT_SECONDS = 3e-6


class Session:
    pass


def seconds_each(expect):
    """Return the seconds for an object that is made, expected, and collected."""
    started = time.perf_counter()
    for _ in range(COUNT):
        expect(Session())
    return (time.perf_counter() - started) / COUNT


def main():
    expect_collected = memlens.expect_collected
    references = set()
    forget = references.discard

    def follow(obj):
        references.add(weakref.ref(obj, forget))

    kinds = {
        "make and drop": lambda obj: None,
        "weakref.ref": weakref.ref,
        "weakref.ref in a set, with callback": follow,
        "expect_collected": expect_collected,
    }
    best = {
        name: min(seconds_each(expect) for _ in range(ROUNDS)) for name, expect in kinds.items()
    }
    plain = best["make and drop"]
    for name, seconds in best.items():
        print(f"{name:<38}{(seconds - plain) * 1e6:6.2f} µs")
    cost = best["expect_collected"] - plain
    print(f"ratio to weakref.ref: {cost / (best['weakref.ref'] - plain):.1f}")
    print(f"at most {LIMIT_SECONDS * 1e6:.0f} µs: {'yes' if cost <= LIMIT_SECONDS else 'NO'}")


if __name__ == "__main__":
    main()
