"""The command ``convert``."""

from __future__ import annotations

import json
import os

import pytest

import memlens
from memlens._core.layout import RootKind
from memlens.cli.main import main
from tests.heap.planted import Planter


@pytest.fixture
def saved(tmp_path):
    """Write a heap of some objects by their numbers; return the path."""

    def save(name, *numbers):
        plant = Planter()
        for number in numbers:
            plant.root(plant.node("app.Session", 100, key=number), RootKind.EXTERNAL)
        plant.snapshot().save(tmp_path / name)
        return str(tmp_path / name)

    return save


def ids_of(path):
    numbers = json.loads(path.read_text())["nodes"]
    return [numbers[at + 2] for at in range(7, len(numbers), 7) if numbers[at + 3]]


def test_a_snapshot_becomes_a_heapsnapshot(saved, tmp_path, capsys):
    target = tmp_path / "x.heapsnapshot"
    assert main(["convert", saved("a.memlens", 1, 2), "-o", str(target)]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: 1.")
    assert len(ids_of(target)) == 2


def test_a_heapsnapshot_becomes_a_snapshot(saved, tmp_path):
    middle, target = tmp_path / "x.heapsnapshot", tmp_path / "back.memlens"
    assert main(["convert", saved("a.memlens", 1, 2), "-o", str(middle)]) == 0
    assert main(["convert", str(middle), "-o", str(target)]) == 0
    assert memlens.load(target).total_bytes == 200


def test_several_snapshots_go_to_a_folder_with_ids_in_common(saved, tmp_path, capsys):
    files = [saved("a.memlens", 1, 2), saved("b.memlens", 2, 3), saved("c.memlens", 3, 4, 1)]
    folder = tmp_path / "new" / "folder"
    assert main(["convert", *files, "-o", str(folder), "--json"]) == 0
    a, b, c = (ids_of(folder / f"{name}.heapsnapshot") for name in "abc")
    assert (b[0], c[0]) == (a[1], b[1])
    assert max(a) < b[1] < min(c[1:])
    written = json.loads(capsys.readouterr().out)["files"]
    assert [file["path"] for file in written] == [f"{folder}/{name}.heapsnapshot" for name in "abc"]
    assert all(os.path.getsize(file["path"]) == file["size_bytes"] for file in written)


def test_small_objects_are_summed_up_on_request(saved, tmp_path):
    target = tmp_path / "x.heapsnapshot"
    file = saved("a.memlens", *range(500))
    assert main(["convert", file, "-o", str(target), "--max-nodes", "100"]) == 0
    assert len(ids_of(target)) == 1


def test_a_profile_becomes_folded_stacks(tmp_path):
    source, target = tmp_path / "profile.json", tmp_path / "profile.folded"
    with memlens.AllocationProfiler(backend="tracemalloc") as profiler:
        kept = [bytes(1000) for _ in range(100)]
    profiler.profile().save(source)
    assert len(kept) == 100
    assert main(["convert", str(source), "-o", str(target)]) == 0
    assert "test_convert.py" in target.read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-o", "x.pb.gz"], "the suffixes for HeapSnapshot are .memlens, .heapsnapshot"),
        (["-o", "x.memlens", "--max-nodes", "1000"], "max_nodes: only for a HeapSnapshot as"),
        (["-o", "x.heapsnapshot", "--max-nodes", "5"], "max_nodes is 5: it must be at least 100"),
    ],
)
def test_what_cannot_be_is_refused(saved, tmp_path, monkeypatch, capsys, options, complaint):
    file = saved("a.memlens", 1)
    monkeypatch.chdir(tmp_path)
    assert main(["convert", file, *options]) == 2
    assert complaint in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.memlens"]


def test_files_of_one_name_would_become_one_file(saved, tmp_path, capsys):
    file = saved("a.memlens", 1)
    assert main(["convert", file, file, "-o", str(tmp_path / "folder")]) == 2
    assert "two of the files have the same name" in capsys.readouterr().err
    assert not (tmp_path / "folder").exists()
