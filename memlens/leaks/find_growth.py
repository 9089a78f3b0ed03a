"""find_growth: the holders of growth, in whatever shape.

Shapes looked for, best evidence first:

- places whose containers gain elements in every interval and keep them: one container, the
  containers of one place together, or one that a longer one replaces each time;
- contexts that gain variables;
- buffers: objects whose own memory grows steadily;
- chains and trees, in which no container grows;
- objects of one type that native code holds, more of them each time;
- garbage that is not collected.
"""

from __future__ import annotations

from collections.abc import Sequence

from memlens.leaks.detectors.accumulating_places import accumulating_places
from memlens.leaks.detectors.context_variables import growing_contexts
from memlens.leaks.detectors.garbage import growing_garbage
from memlens.leaks.detectors.growing_buffers import growing_buffers
from memlens.leaks.detectors.linked_structures import linked_structures
from memlens.leaks.detectors.native import held_natively
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.sharing import reach, share_out
from memlens.progress import part

__all__ = ("find_growth",)


_EXPLAINED = 0.6  # of what native code holds: then the named holder is the cause


def find_growth(growth: Growth) -> list[Holder]:
    """Return the holders with what they are responsible for, the largest share first."""
    known: set[int] = set()
    with part(0, 0.2):
        growth.find_places()
    with part(0.2, 0.9):
        holders = [*accumulating_places(growth, known)]
    holders += growing_buffers(growth, known)
    holders += growing_contexts(growth, known)
    holders += linked_structures(growth, known)
    reach(growth, holders)
    native = held_natively(growth, holders)
    reach(growth, native)
    holders += [holder for holder in native if not _is_explained(holder, holders)]
    garbage = growing_garbage(growth)
    if garbage is not None:
        holders.append(garbage)
    share_out(growth, holders)
    return sorted(holders, key=lambda h: (-h.share_bytes, -h.count_growth, h.node))


def _is_explained(native: Holder, named: Sequence[Holder]) -> bool:
    """Tell whether a named holder keeps most of what native code seems to hold."""
    gained = set(native.gained)
    return any(
        len(gained.intersection(holder.gained)) >= _EXPLAINED * len(gained) for holder in named
    )
