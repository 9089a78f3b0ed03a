"""A generator that drops duplicates remembers all it has seen in a local set."""

from support.pace import LEAK, rng, ticks


def records():
    for i in ticks():
        for n in range(200):
            yield f"record-{i}-{n}-{rng.getrandbits(64):016x}"


def without_duplicates(source):
    seen = set()
    for record in source:
        if record not in seen:
            seen.add(record)
            yield record
        if not LEAK and len(seen) > 1000:
            seen.clear()


def main():
    longest = 0
    for record in without_duplicates(records()):
        longest = max(longest, len(record))


if __name__ == "__main__":
    main()
