"""Many containers of one place, each of which grows a little: one holder, summed.

`app.sessions['ada'].history` and `app.sessions['bob'].history` are one place: paths are compared
with their keys and positions as wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memlens.heap.paths import RetentionPath, RetentionPathFinder
from memlens.leaks.growth import Growth, Holder, rises

__all__ = ("cluster", "place_of")

_MOST_PATHS = 5000  # looked at; of more, those that changed the most
_WILD = "[*]"


def place_of(path: RetentionPath) -> str:
    """Return a path with keys and positions as wildcards: ``app.sessions[*].history``."""
    return path.root + "".join(
        _WILD if hop.kind in ("key", "index") and hop.text else hop.text for hop in path.hops
    )


def cluster(growth: Growth, changed: Iterable[tuple[int, tuple[int, ...]]]) -> list[Holder]:
    """Return the growing holders among containers that changed, those of one place as one.

    Containers that shrank count too: only where the sum rises is it growth.
    """
    ordered = sorted(changed, key=lambda one: -abs(one[1][-1] - one[1][0]))
    finder = RetentionPathFinder(growth.last)
    places: dict[tuple[str, str], list[tuple[int, tuple[int, ...]]]] = {}
    for node, lengths in ordered[:_MOST_PATHS]:
        path = finder.path_to(node)
        place = place_of(path) if path is not None else ""
        if _WILD not in place:
            place = f"{node}"  # a place of its own
        places.setdefault((place, growth.last.type_of(node)), []).append((node, lengths))
    holders = [_holder(growth, members) for members in places.values()]
    return [holder for holder in holders if holder is not None]


def _holder(growth: Growth, members: Sequence[tuple[int, tuple[int, ...]]]) -> Holder | None:
    sums = tuple(map(sum, zip(*(lengths for _, lengths in members), strict=True)))
    if not rises(sums):
        # One of them may still grow where the others come and go.
        members = [one for one in members if rises(one[1])][:1]
        if not members:
            return None
        sums = members[0][1]
    grown = [node for node, lengths in members if lengths[-1] > lengths[0]]
    entries = list(dict.fromkeys(target for node in grown for target in growth.new_targets(node)))
    if not entries:
        return None
    if len(grown) == 1:
        return Holder(grown[0], "container", sums, entries)
    return Holder(grown[0], "cluster", sums, entries, members=tuple(grown))
