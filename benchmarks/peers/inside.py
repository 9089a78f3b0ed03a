"""Run a program of tests/zoo under a tool that works in the process, and write what the tool says.

    python inside.py TOOL PROGRAM OUTPUT

The tool begins after a quarter of the program's steps and is asked at the last step, as its
documentation says for the search for leaks. Where it wants an object or a type, it gets the first type
of its own list of what grew: no knowledge of the program goes in.
"""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
from collections.abc import Callable, Iterator


def memlens_snapshots() -> Iterator[str]:
    """Four snapshots and `find_leaks`; the others take two."""
    import memlens

    snapshots = []
    for _ in range(3):
        snapshots.append(memlens.take_heap_snapshot())
        yield ""
    snapshots.append(memlens.take_heap_snapshot())
    yield str(memlens.find_leaks(snapshots))


def tracemalloc_traces() -> Iterator[str]:
    """The ten call paths that grew the most."""
    import tracemalloc

    tracemalloc.start(10)
    before = tracemalloc.take_snapshot()
    yield ""
    yield ""
    yield ""
    lines = []
    for one in tracemalloc.take_snapshot().compare_to(before, "traceback")[:10]:
        frames = [f"{frame.filename}:{frame.lineno}" for frame in one.traceback]
        lines.append(
            f"{one.size_diff:+} bytes, {one.count_diff:+} blocks: {' < '.join(frames[::-1])}"
        )
    yield "\n".join(lines)


def objgraph_growth() -> Iterator[str]:
    """What grew; of a new object of each of the first three types, a chain from a module to it."""
    import objgraph

    objgraph.get_new_ids(limit=0)
    objgraph.growth(limit=10)
    yield ""
    yield ""
    yield ""
    growth = objgraph.growth(limit=10)
    new = objgraph.get_new_ids(limit=0)
    text = "\n".join(f"{name} {count} {delta:+}" for name, count, delta in growth)
    pictures = []
    for name in [row[0] for row in growth[:3]]:
        ids = sorted(new.get(name, ()))
        found = objgraph.at_addrs(ids[len(ids) // 2 :][:1])
        if found:
            picture = io.StringIO()
            ours = [id(found)]  # which no user would see
            chain = objgraph.find_backref_chain(
                found[0], objgraph.is_proper_module, extra_ignore=ours
            )
            if len(chain) > 1:
                objgraph.show_chain(chain, output=picture)
            else:  # no module leads there, as for what a local variable holds
                del chain
                objgraph.show_backrefs(
                    found, max_depth=5, too_many=4, extra_ignore=ours, output=picture
                )
            pictures += [line for line in picture.getvalue().splitlines() if "label=" in line][:18]
    yield f"{text}\n" + "\n".join(pictures)


def pympler_tracker() -> Iterator[str]:
    """The difference by type, and the tree of referrers of an object of the type that grew most."""
    from pympler import muppy, refbrowser, tracker

    tracking = tracker.SummaryTracker()
    tracking.diff()
    yield ""
    yield ""
    yield ""
    rows = sorted(tracking.diff(), key=lambda row: -row[2])[:10]
    text = "\n".join(f"{name} {count:+} {size:+}" for name, count, size in rows)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        for name in [row[0] for row in rows[:3]]:
            found = [one for one in muppy.get_objects() if _type_name(one) == name][-1:]
            if found:
                refbrowser.ConsoleBrowser(found.pop(), maxdepth=4).print_tree()
    yield f"{text}\n{shown.getvalue()}"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def guppy_heap() -> Iterator[str]:
    """The heap since the first moment by type, and the shortest paths to the first three."""
    from guppy import hpy

    session = hpy()
    session.setrelheap()
    yield ""
    yield ""
    yield ""
    heap = session.heap()
    parts = [str(heap)]
    for row in range(min(3, len(heap.byclodo.parts))):
        parts.append(str(heap[row].byid[0].shpaths))
    yield "\n".join(parts)


TOOLS: dict[str, Callable[[], Iterator[str]]] = {
    "memlens": memlens_snapshots,
    "tracemalloc": tracemalloc_traces,
    "objgraph": objgraph_growth,
    "pympler": pympler_tracker,
    "guppy3": guppy_heap,
}


def main() -> None:
    """Run the program; the tool is asked between its steps."""
    tool, program, output = sys.argv[1:]
    sys.argv = [program]
    sys.path[0] = os.path.dirname(program)
    from support import pace

    said = TOOLS[tool]()
    moments = [pace.STEPS * part // 4 for part in range(1, 5)]

    def observe(steps_done: int) -> None:
        if steps_done in moments:
            text = next(said)
            if steps_done == moments[-1]:
                with open(output, "w", encoding="utf-8") as file:
                    file.write(text)
                os._exit(0)

    pace.observe(observe)
    runpy.run_path(program, run_name="__main__")
    sys.exit("the program ended before its last step")


if __name__ == "__main__":
    main()
