"""The glossary: what the terms of a report mean, for its hover texts."""

from __future__ import annotations

__all__ = ("GLOSSARY",)

GLOSSARY = {
    "shallow": "The size of an object itself, without what it refers to.",
    "retained": "The bytes that would be freed together with an object: its own size, and that of all"
    " objects that only it keeps alive.",
    "native": "Memory outside Python objects, allocated by extension modules and C libraries.",
    "resident": "Resident memory (RSS): the physical memory of the process now.",
    "limit": "The memory at which the process is ended: that of its container, its address space or"
    " the machine.",
    "holder": "The container in which objects accumulate.",
    "suspect": "A holder that gained objects in every interval and kept them.",
    "growth": "The change from the first snapshot to the last.",
    "rate": "The growth by hour. It is not told from less than a minute.",
    "path": "The references that lead from a root to the holder. The steps that stand out are the"
    " holder and the name under which the program refers to it.",
    "root": "Where references begin: a module, a running function, or the interpreter.",
    "site": "A line that allocated what the holder gained, with its callers. Estimated from samples.",
    "share": "The part of the sampled bytes of the sites that are listed.",
    "pattern": "The known kind of leak that the suspect matches, with the evidence.",
    "fingerprint": "An identifier that is equal for the same leak in other runs; use it with --ignore"
    " or in a baseline.",
    "origin": "Whose code holds the memory: the program's, a library's, or the interpreter's.",
    "new": "The suspect is not in the baseline.",
    "known": "The suspect is in the baseline.",
    "confidence": "How far the verdict can be trusted: more snapshots over a longer time raise it.",
    "live_bytes": "Bytes that were allocated during the profile and are still allocated.",
    "allocated_bytes": "All bytes that were allocated during the profile, freed ones included.",
    "live_count": "Blocks that were allocated during the profile and are still allocated.",
    "allocated_count": "All blocks that were allocated during the profile.",
    "dominator": "The object that alone keeps another one alive: freeing it frees the other.",
    "duplicates": "Equal strings and bytes that are stored more than once.",
    "waste": "Containers that use little of their capacity, such as a dict that was emptied.",
    "snapshot": "All objects of the process at one instant, and their references.",
    "alert": "A leak that the profiler reported while the program ran.",
    "collection": "A full run of the garbage collector.",
    "deploy": "A mark that the program set with MemoryProfiler.mark().",
}
