"""Fingerprints: short ids of suspects that are equal across restarts, machines and patch releases.

A fingerprint is a hash over the place, the types and the pattern of a suspect. It contains no keys,
positions, addresses, line numbers, folders or numbers that a program generates (``Task-17``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from memlens._text import QUOTED
from memlens.heap.graph.paths import RetentionPath

__all__ = ("fingerprint_of", "is_fingerprint", "stable_place", "stable_text")


_FINGERPRINT = re.compile(r"leak-[0-9a-f]{10}")
_HEX_DIGITS = 10  # 40 bits: among ten thousand suspects two are equal with a chance of 1 in 20,000

# What differs between two runs of one program, in the order in which it is replaced.
_UNSTABLE = (
    (re.compile(r"\b__mp_main__\b"), "__main__"),  # the program, in a child of multiprocessing
    (re.compile(r"0x[0-9a-fA-F]+"), "#"),  # addresses
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "#"),  # UUIDs
    (
        re.compile(r"(?<![0-9A-Za-z])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"),
        "#",
    ),  # hexadecimal ids
    (re.compile(r", \d+ references(?=>)"), ""),
    (re.compile(r":\d+(?=\))"), ""),  # line numbers
    (
        re.compile(r"(?<![^\s('\"/])(?:[A-Za-z]:)?[^\s('\"]*[/\\](?=[^/\\\s]+\.pyc?\b)"),
        "",
    ),  # folders
    (re.compile(r"\d{3,}"), "#"),
    (re.compile(r"(?<=[-_ ])\d+(?![\w.])"), "#"),  # Task-17, Model_3
)
_THREAD = re.compile(rf"^thread (?:{QUOTED}|\d+) (?:frame )?")
_TASK = re.compile(rf"^task {QUOTED} ")
_MAX_CYCLE = 4  # hops; a tree that repeats itself after more is rare
_WILD = "[*]"


def fingerprint_of(place: str, types: Iterable[str], pattern: str | None) -> str:
    """Return the fingerprint of a place with types and a pattern: ``leak-3f9c1a2b7d``.

    ``place`` is the text of `stable_place`; the order of ``types`` counts.
    """
    parts = [place, *map(stable_text, types), pattern or ""]
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8)
    return f"leak-{digest.hexdigest()[:_HEX_DIGITS]}"


def is_fingerprint(text: str) -> bool:
    """Return whether a text has the form of a fingerprint."""
    return _FINGERPRINT.fullmatch(text) is not None


def stable_text(text: str) -> str:
    """Return a text without what differs between two runs of the same program."""
    for pattern, replacement in _UNSTABLE:
        text = pattern.sub(replacement, text)
    return text


def stable_place(path: RetentionPath) -> str:
    """Return a path as text that is equal in each run: with wildcards, and without repetitions."""
    root = _TASK.sub("task ", _THREAD.sub("thread * ", path.root))
    hops = [
        _WILD if hop.kind in ("key", "index", "item") and hop.text else stable_text(hop.text)
        for hop in path.hops
        if hop.text
    ]
    return stable_text(root) + "".join(_without_repetitions(hops))


def _without_repetitions(hops: list[str]) -> list[str]:
    """Return hops with each repetition once: a linked list is longer in the next run."""
    kept: list[str] = []
    for hop in hops:
        kept.append(hop)
        for size in range(1, _MAX_CYCLE + 1):
            if kept[-size:] == kept[-2 * size : -size]:
                del kept[-size:]
                break
    return kept
