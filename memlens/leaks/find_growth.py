"""find_growth: the holders of growth, in whatever shape.

Shapes looked for, best evidence first:

- a container whose number of elements rose in every interval, and many of one place as a cluster;
- a slot (an attribute, an entry) whose container or text was replaced by a longer one each time;
- a container that came after the first snapshot and rose in every interval since;
- a buffer: an object whose own memory grew in every interval;
- an object below which more and more new objects hang without any container growing: the head of a
  linked chain, or of another structure;
- objects of one type that native code holds, ever more of them;
- garbage that nobody collects.
"""

from __future__ import annotations

from memlens.leaks.detectors.chains import find_chains
from memlens.leaks.detectors.clusters import cluster
from memlens.leaks.detectors.garbage import growing_garbage
from memlens.leaks.detectors.growing_containers import (
    changed_containers,
    growing_slots,
    swelling_objects,
)
from memlens.leaks.detectors.native import held_natively
from memlens.leaks.detectors.new_containers import name_late_containers
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.sharing import reach, share_out

__all__ = ("find_growth",)

MAX_HOLDERS = 200  # looked at closely; those with the most new elements


def find_growth(growth: Growth) -> list[Holder]:
    """Return the holders with what they are responsible for, the largest share first."""
    holders = cluster(growth, changed_containers(growth))
    known = {node for holder in holders for node in (holder.node, *holder.members)}
    holders += growing_slots(growth, known)
    holders += swelling_objects(growth, known)
    holders = sorted(holders, key=_weight, reverse=True)[:MAX_HOLDERS]
    reach(growth, holders)
    for find in (find_chains, held_natively):
        more = find(growth, holders)
        reach(growth, more)
        holders += more
    holders = name_late_containers(growth, holders)
    reach(growth, [holder for holder in holders if holder.shape == "late"])
    garbage = growing_garbage(growth)
    if garbage is not None:
        holders.append(garbage)
    share_out(growth, holders)
    return sorted(holders, key=lambda h: (-h.share_bytes, -h.count_growth, h.node))


def _weight(holder: Holder) -> int:
    """Return about how many objects a holder gained: a buffer, as many as its bytes would make."""
    grown = holder.lengths[-1] - holder.lengths[0]
    return grown // 64 if holder.shape == "buffer" else len(holder.entries)
