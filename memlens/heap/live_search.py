"""Questions about one live object that the collector's lists answer, without a snapshot.

The search is that of objgraph. It needs little memory, but sees neither untracked referrers nor
retained sizes.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

from memlens._atomic import checked_path, write_whole
from memlens._core.layout import KIND_MASK, LABEL_BITS, EdgeKind
from memlens._core.pure.access import class_name
from memlens._core.pure.edges import Plans
from memlens._core.pure.labels import StringTable
from memlens.errors import MissingExtraError, OptionError, OutputError
from memlens.heap.graph.heap_graph import Edge
from memlens.heap.graph.paths import Hop, RetentionPath, reference_text
from memlens.heap.referrer_picture import own_frame_ids, referrers_dot

__all__ = ("draw_referrers", "find_live_path")

_PICTURES = (".dot", ".png", ".svg", ".pdf")


def find_live_path(
    obj: object, max_depth: int = 20, *, values: bool = False
) -> RetentionPath | None:
    """Return a shortest path from a module to ``obj``, found by objgraph; None if there is none.

    Takes no snapshot, but each step scans all tracked objects, and untracked referrers are not
    found. Retained sizes are None. ``values``: show the keys of dicts.
    """
    import objgraph

    chain = objgraph.find_backref_chain(
        obj, objgraph.is_proper_module, max_depth=max_depth, extra_ignore=own_frame_ids()
    )
    if not chain or not objgraph.is_proper_module(chain[0]):
        return None
    edges: list[Edge] = []
    for source, target in pairwise(chain):
        is_namespace = bool(edges) and edges[-1].name == "__dict__"
        edges.append(_live_edge(source, target, is_namespace=is_namespace, values=values))
    following = [*edges[1:], None]
    hops = tuple(map(_live_hop, edges, following, chain[1:]))
    return RetentionPath(chain[0].__name__, "module", hops)


def draw_referrers(
    obj: object, path: str | os.PathLike[str], *, max_depth: int = 5, values: bool = False
) -> str:
    """Draw the referrers of ``obj``, up to ten of each; return the path of the picture.

    The suffix selects the format: ``.dot`` is text for Graphviz; ``.png``, ``.svg`` and ``.pdf``
    need the ``dot`` program of Graphviz. ``values``: show the keys of dicts. Raises
    ``MissingExtraError`` if Graphviz is not installed, ``OptionError`` for another suffix,
    ``OutputError`` if the file cannot be written.
    """
    import shutil

    target = checked_path(path)
    suffix = os.path.splitext(target)[1]
    if suffix not in _PICTURES:
        raise OptionError(f"cannot draw to {target!r}: use the suffix {', '.join(_PICTURES)}")
    if not target.endswith(".dot") and shutil.which("dot") is None:
        raise MissingExtraError(
            "drawing this format needs the 'dot' program of Graphviz; install Graphviz or draw to"
            " a file with the suffix .dot"
        )

    def edge(source: Any, held: Any, is_namespace: bool) -> Edge:
        return _live_edge(source, held, is_namespace=is_namespace, values=values)

    content = referrers_dot(obj, max_depth, edge).encode()
    write_whole(target, content if suffix == ".dot" else _rendered(content, suffix[1:]))
    return target


def _rendered(dot: bytes, kind: str) -> bytes:
    """Return the picture that Graphviz makes of a text in its language."""
    import subprocess

    done = subprocess.run(["dot", f"-T{kind}"], input=dot, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise OutputError(f"Graphviz cannot draw the picture: {reason}")
    return done.stdout


def _live_hop(edge: Edge, following: Edge | None, target: Any) -> Hop:
    name = class_name(type(target))
    text = reference_text(edge, following, name)
    return Hop(text, edge.kind.name.lower(), name, -1, object.__sizeof__(target), None)


def _live_edge(source: Any, target: Any, *, is_namespace: bool, values: bool) -> Edge:
    """Return the best-named reference from source to target, named as in a capture."""
    strings = StringTable()
    plans = Plans(strings, values=values or is_namespace)
    plan = plans.plan(type(source))
    targets, labels = plan(source) if plan is not None else ([], ())
    texts = [*strings]
    plans.clear()
    found = [
        _decode(label, texts)
        for candidate, label in zip(targets, labels, strict=True)
        if candidate is target
    ]
    if not found:
        return Edge(-1, -1, EdgeKind.INTERNAL, "", 0)
    edge = min(found, key=lambda e: (e.kind is EdgeKind.ITEM, not e.name))
    if is_namespace and edge.kind is EdgeKind.KEY:
        return edge._replace(kind=EdgeKind.ATTRIBUTE, name=edge.name.strip("'"))
    return edge


def _decode(label: int, texts: list[str]) -> Edge:
    kind, payload = EdgeKind(label & KIND_MASK), label >> LABEL_BITS
    if kind is EdgeKind.INDEX:
        return Edge(-1, -1, kind, "", payload)
    return Edge(-1, -1, kind, texts[payload], 0)
