"""What does interning cost against sys.intern, and what does it save?

Run: ``python benchmarks/structures_strings.py``
"""

from __future__ import annotations

import json
import sys
import timeit
import tracemalloc

from memlens.structures import StringInterner

WORDS = [f"a word of the vocabulary, number {number}" for number in range(1000)]
LINE = json.dumps({f"field-{n}": WORDS[n] for n in range(20)})


def nanoseconds(function):
    texts = [word[:5] + word[5:] for word in WORDS]
    return (
        min(timeit.repeat(lambda: [function(t) for t in texts], number=20, repeat=7)) / 20e3 * 1e9
    )


def held_bytes(hook):
    tracemalloc.start()
    rows = [json.loads(LINE, object_pairs_hook=hook) for _ in range(2000)]
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return size / len(rows)


def main():
    print(f"Python {sys.version.split()[0]}")
    kept = {}
    rows = {
        "memlens StringInterner(2000)": nanoseconds(StringInterner(2000).intern),
        "dict.setdefault (C; no bound)": nanoseconds(lambda text: kept.setdefault(text, text)),
        "sys.intern (C; no bound)": nanoseconds(sys.intern),
    }
    print(f"{'intern a known string':<40}{'ns':>8}")
    for name, value in rows.items():
        print(f"  {name:<38}{value:8.0f}")
    plain, interned = held_bytes(None), held_bytes(StringInterner(2000).intern_json)
    print(f"\nJSON rows held: {plain:,.0f} B each, {interned:,.0f} B with intern_json")


if __name__ == "__main__":
    main()
