"""Trees whose nodes refer to their children by containers: the tree is named, not a node in it."""

from itertools import pairwise

from memlens._core.layout import EdgeKind as K
from memlens.leaks.detectors.linked_structures import linked_structures
from memlens.leaks.growth import Growth
from memlens.leaks.leak_report import find_leaks
from tests.leaks.test_suspects import series

FANOUT = 4


def tree_of(p, n, *, node_type="app.Quad", container="list", shift=0):
    """Add a tree of n nodes with four children in a list each; the first is the root."""
    nodes = [p.node(node_type, 80, key=("quad", i + shift)) for i in range(n)]
    for parent, node in enumerate(nodes):
        below = nodes[FANOUT * parent + 1 : FANOUT * parent + 1 + FANOUT]
        if below:
            children = p.node(container, 88, key=("children", parent + shift), length=len(below))
            p.edge(node, children, K.ATTRIBUTE, "children")
            for position, child in enumerate(below):
                p.edge(children, child, K.INDEX, position=position)
    return nodes


def grown(p, n, **options):
    world = p.node("app.World", 56, key="world")
    p.edge(world, tree_of(p, n, **options)[0], K.ATTRIBUTE, "index")
    p.module("app", world=world)


def test_a_tree_is_named_by_what_refers_to_its_root():
    (suspect,) = find_leaks(series(grown, step=80))
    assert suspect.holder == "app.world.index"
    assert suspect.growing_types[0] == "app.Quad"
    assert suspect.pattern == "chain"
    assert "a tree" in suspect.evidence
    assert "Each generation" not in suspect.suggestion


def test_a_tree_that_is_built_anew_each_time_is_healthy():
    assert not find_leaks(series(lambda p, n: grown(p, n, shift=1000 * n), step=80)).suspects


def test_trees_of_earlier_steps_that_hang_on_the_present_one_are_one_suspect():
    def searched(p, n):
        """Each step makes a tree of its own below a child of the last one, and keeps the parent."""
        agent, roots = p.node("app.Agent", 56, key="agent"), []
        for step in range(n // 10):
            nodes = tree_of(p, 21, shift=100 * step)
            if roots:
                p.edge(nodes[0], roots[-1], K.ATTRIBUTE, "parent")
            roots.append(nodes[0])
        p.edge(agent, roots[-1], K.ATTRIBUTE, "root")
        p.module("app", agent=agent)

    (suspect,) = find_leaks(series(searched, step=60))
    assert suspect.holder == "app.agent.root"
    assert suspect.pattern == "chain"


def test_plain_containers_in_each_other_are_named_where_they_begin():
    def nested(p, n):
        lists = [p.node("list", 64, key=("list", i), length=1) for i in range(n)]
        for outer, inner in pairwise(lists):
            p.edge(outer, inner, K.INDEX, position=0)
        p.module("app", nested=lists[0])

    (suspect,) = find_leaks(series(nested, step=20))
    assert suspect.holder.startswith("app.nested") or "nested" in suspect.holder


def test_lists_of_lists_in_each_new_object_are_no_chain():
    def frames(p, n):
        table = p.node("list", 64 + 8 * n, key="frames", length=n)
        for i in range(n):
            frame = p.node("app.Frame", 64, key=("frame", i))
            axes = p.node("list", 72, key=("axes", i), length=1)
            index = p.node("app.Index", 64, key=("index", i))
            references = p.node("list", 72, key=("references", i), length=1)
            p.edge(table, frame, K.INDEX, position=i)
            p.edge(frame, axes)
            p.edge(axes, index, K.INDEX)
            p.edge(index, references)
            p.edge(references, p.node("app.Reference", 64, key=("reference", i)), K.INDEX)
        p.module("app", frames=table)

    snapshots = series(frames)
    growth = Growth([one.graph for one in snapshots], [one.timestamp for one in snapshots])
    assert [*linked_structures(growth, set())] == []
    assert [one.holder for one in find_leaks(snapshots)] == ["app.frames"]
