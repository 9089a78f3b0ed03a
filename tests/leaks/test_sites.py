"""Where a suspect's objects were allocated: never in memlens's own code."""

from memlens._package import CODE_FOLDER
from memlens.heap.graph.allocation_sites import site_sections
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import find_leaks
from tests.heap.sampled import OBJECT, tables
from tests.leaks.test_suspects import leaking_dict, series

OWN = ("own_memory", f"{CODE_FOLDER}_own_memory.py", 57)
START = ("run_path", f"{CODE_FOLDER}run.py", 9)
ADD = ("add", "/home/me/app.py", 3)


def sites_of(*call_paths):
    """The sites of a suspect whose gained objects were sampled, one at each of the call paths."""
    snapshots = series(leaking_dict)
    graph = snapshots[-1].graph
    gained = [node for node in range(graph.node_count) if graph.type_of(node) == "app.Session"]
    samples = [
        (graph.node_address[node], 100, 1.0, OBJECT, list(path))
        for node, path in zip(reversed(gained), call_paths, strict=False)
    ]
    sections = {**graph.sections, **site_sections(tables(samples))}
    sampled = HeapSnapshot(HeapGraph(sections, graph.facts))
    (suspect,) = find_leaks([*snapshots[:-1], sampled])
    return [[frame.function for frame in share.call_path] for share in suspect.sites]


def test_what_memlens_allocated_at_an_address_before_is_no_site():
    assert sites_of([ADD], [OWN, ADD], [OWN]) == [["add"]]


def test_the_code_of_memlens_that_started_the_program_is_left_out_of_a_site():
    assert sites_of([ADD, START]) == [["add"]]
