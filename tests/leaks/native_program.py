"""A program that holds native memory; prints as JSON what memlens says of it, and the truth.

    python -m tests.leaks.native_program KIND HOLDER

Between four forked snapshots it adds objects to one holder: a list of this module, a dict of an
instance, or a local of a function. Then, in the same process, a healthy program follows: a bounded
cache, in which as many objects replace others. For slices of one storage there is more and more of
them, while the memory stays.
"""

import json
import sys

import memlens
from tests.leaks import native_kinds

STEPS, SNAPSHOTS = 10, 4
HELD = []


class Store:
    def __init__(self):
        self.items = {}


STORE = Store()


def objects_of(kept):
    return list(kept.values()) if type(kept) is dict else kept


def add(kept, number, made):
    if type(kept) is dict:
        kept[f"key {number}"] = made
    else:
        kept.append(made)


def drop_first(kept):
    del kept[next(iter(kept)) if type(kept) is dict else 0]


def observe(kept, make, count, is_bounded):
    """Fill the holder, take the snapshots, and return them with how many bytes were added."""
    snapshots, grown, number = [], 0, 0
    for step in range(SNAPSHOTS):
        before = count(objects_of(kept))
        for _ in range(STEPS):
            add(kept, number, make(number))
            number += 1
            if is_bounded and number > STEPS:
                drop_first(kept)
        if step:  # what was there at the first snapshot is no growth
            grown += count(objects_of(kept)) - before
        snapshots.append(memlens.take_heap_snapshot(mode="fork"))
    return snapshots, grown


def findings(snapshots, grown=0):
    """Return what memlens says of the snapshots, and what the adapters could not see."""
    report = memlens.find_leaks(snapshots)
    notes = [note for one in snapshots for note in one.graph.adapter_notes]
    return {
        "suspects": [one.to_dict() for one in report],
        "grown": grown,
        "incomplete": [str(note) for note in notes if not note.is_complete],
        "text": str(report),
    }


def leak_and_twin(make, count, holder):
    """Keep objects in this function's local, where that is the holder."""
    kept = {"module": HELD, "instance": STORE.items}.get(holder)
    if kept is None:
        kept = []
    leak = findings(*observe(kept, make, count, is_bounded=False))
    kept.clear()
    return {"leak": leak, "twin": findings(*observe(kept, make, count, is_bounded=True))}


def slices(make):
    return {"slices": findings(*observe(HELD, make, len, is_bounded=False))}


def main():
    kind, holder = sys.argv[1:]
    if holder == "slices":
        base, make = getattr(native_kinds, kind)()
        found = slices(make)
        assert base is not None  # it stays until here
    else:
        found = leak_and_twin(*getattr(native_kinds, kind)(), holder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
