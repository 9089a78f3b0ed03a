"""The join of a breakdown with a snapshot: known holders by library, and a named remainder."""

import ctypes
import json
import sys

import pytest

from memlens import _core
from memlens._core.layout import NodeFlag
from memlens.errors import OptionError
from memlens.process.held_memory import held_memory
from memlens.process.memory_breakdown import breakdown
from tests.heap.planted import Planter
from tests.process.test_memory_breakdown import in_child

MIB = 1 << 20


class Snapshot:
    """What a breakdown needs of a snapshot."""

    pid = 7
    large_object_bytes = 10 * MIB

    def native_by_device(self, *, resident=False):
        return {
            "cpu": {"mmap": MIB, "torch": 30 * MIB},
            "mapped": {"mmap": 5 * MIB},
            "cuda:0": {"torch": 8 * MIB},
        }


def test_the_parts_add_up_to_what_is_in_use():
    held = held_memory(Snapshot(), 7, 40 * MIB, 20 * MIB)
    assert held.in_use_bytes == 60 * MIB
    assert held.libraries == (("torch", 30 * MIB), ("mmap", MIB))
    assert held.known_bytes == 41 * MIB
    assert held.unattributed_bytes == 19 * MIB
    assert held.known_bytes + held.unattributed_bytes == held.in_use_bytes
    assert held.mapped_files == (("mmap", 5 * MIB),)
    text = str(held)
    assert "In use by malloc and mmap: 60.0 MiB, known holders 41.0 MiB" in text
    assert [line.split()[0] for line in text.split("\n")[2:]] == [
        "Python", "torch", "mmap", "unattributed", "mmap,",
    ]  # fmt: skip
    assert "50.0 %" in text
    assert "no object is known to hold it" in text
    assert json.loads(json.dumps(held.to_dict()))["libraries"] == {"torch": 30 * MIB, "mmap": MIB}


def test_other_mappings_that_are_unknown_are_left_out():
    assert held_memory(Snapshot(), 7, 50 * MIB, None).unattributed_bytes == 9 * MIB


@pytest.mark.parametrize(
    ("malloc", "why"),
    [(None, "malloc does not report"), (5 * MIB, "known holders exceed it by 36.0 MiB")],
)
def test_a_remainder_that_is_unknown_is_named_so(malloc, why):
    held = held_memory(Snapshot(), 7, malloc, 0)
    assert held.unattributed_bytes is None
    assert held.why_unknown.startswith(why)
    assert "unattributed" in str(held)
    assert "unknown" in str(held)


def test_a_snapshot_of_another_process_is_refused():
    with pytest.raises(OptionError, match="of process 7"):
        breakdown(Snapshot())


@pytest.mark.parametrize("wrong", ["heap.memlens", 3, object()])
def test_anything_but_a_snapshot_is_refused(wrong):
    with pytest.raises(OptionError, match="must be a HeapSnapshot"):
        breakdown(wrong)


def test_without_a_snapshot_the_text_says_how_to_get_it():
    plain = breakdown()
    assert plain.held is None
    assert plain.to_dict()["held"] is None
    assert "memlens.breakdown(memlens.take_heap_snapshot())" in str(plain)


def test_a_snapshot_tells_its_native_memory_by_device():
    p = Planter()
    owner = p.node("torch.Tensor", 80)
    p.native(600, owner)
    p.native(30, owner)
    p.native(70, owner, device="cuda:0")
    own = p.node("memlens.x.Y", 10, flags=NodeFlag.OWN)
    p.edge(own, p.node("bytes", 5000), name="copy")
    p.native(9000, own, library="mmap")
    p.module("app", owner=owner, large=p.node("bytes", 513), small=p.node("bytes", 512), own=own)
    snapshot = p.snapshot()
    assert snapshot.native_by_device() == {"cpu": {"torch": 630}, "cuda:0": {"torch": 70}}
    assert snapshot.large_object_bytes == 513


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs mallinfo2")
def test_a_large_buffer_of_a_process_is_attributed():
    held = json.loads(
        in_child("""
            import ctypes, json, memlens
            kept = (ctypes.c_char * (50 << 20))()
            snapshot = memlens.take_heap_snapshot(mode="inline")
            print(json.dumps(memlens.breakdown(snapshot).to_dict()["held"]))
        """)
    )
    assert 50 * MIB <= held["libraries"]["ctypes"] < 51 * MIB
    assert held["in_use_bytes"] >= 50 * MIB


def test_shared_memory_counts_as_in_use():
    class Sharing(Snapshot):
        def native_by_device(self, *, resident=False):
            assert resident
            return {"cpu": {"mmap": MIB}, "shared": {"mmap": 2 * MIB, "torch": MIB}}

    held = held_memory(Sharing(), 7, 20 * MIB, 0)
    assert held.libraries == (("mmap", 3 * MIB), ("torch", MIB))
    assert held.mapped_files == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages are resident")
@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_of_mappings_the_resident_part_is_attributed(mode):
    if mode == "fork" and _core.IMPLEMENTATION != "C":
        pytest.skip("needs the C core")
    files_grew, held = json.loads(
        in_child(f"""
            import ctypes, json, memlens, mmap
            from multiprocessing import shared_memory
            before = memlens.breakdown().file_mappings.size_bytes
            kept = mmap.mmap(-1, 200 << 20)
            kept[:30 << 20] = bytes(30 << 20)
            shared = shared_memory.SharedMemory(create=True, size=60 << 20)
            shared.buf[:20 << 20] = bytes(20 << 20)
            snapshot = memlens.take_heap_snapshot(mode={mode!r})
            whole = memlens.breakdown(snapshot).to_dict()
            shared.close()
            shared.unlink()
            print(json.dumps([whole["file_mappings_bytes"] - before, whole["held"]]))
        """)
    )
    assert 49 * MIB <= held["libraries"]["mmap"] <= 52 * MIB
    assert files_grew < 10 * MIB  # neither is a file
