"""Faults of files: cut, emptied, damaged, left over by a merge, written by a newer memlens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.simulated_fleet.plan import FleetPlan
from benchmarks.simulated_fleet.truth import Damage
from benchmarks.simulated_fleet.writer import facts_of, write_file
from memlens.tables.partition_names import HOLD_PREFIX
from memlens.tables.schema import SCHEMA_VERSION

__all__ = ("POISON", "damage_files")

POISON = "leak-00000000ff"  # the fingerprint in files that no reader may use


def damage_files(folder: Path, plan: FleetPlan) -> tuple[Damage, ...]:
    """Damage files of a folder and add some; return what was done. It follows from the seed."""
    rng = np.random.default_rng([plan.seed, 101])
    small = sorted(path for path in folder.rglob("*.parquet") if path.parent.name != "hosts=all")
    found: list[Damage] = []
    chosen = rng.permutation(len(small))
    for place, (what, harm) in zip(
        chosen, [*3 * [("cut", _cut)], ("empty", _empty), *2 * [("damaged footer", _damage_footer)]],
        strict=False,
    ):  # fmt: skip
        harm(small[place], rng)
        found.append(Damage(str(small[place].relative_to(folder)), what, True))
    suspects = sorted(folder.glob("suspects/service=checkout/*/hosts=all/*.parquet"))
    if suspects:
        found += [_unfinished(suspects[-1], folder), _held(suspects[0], folder)]
        found.append(_newer(suspects[-1], folder))
    return tuple(found)


def _cut(path: Path, rng: np.random.Generator) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(5, len(data) - 1))])


def _empty(path: Path, rng: np.random.Generator) -> None:
    path.write_bytes(b"")


def _damage_footer(path: Path, rng: np.random.Generator) -> None:
    """Overwrite bytes within the footer; both ends of the file remain right."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    start = len(data) - 8 - length
    for place in rng.integers(start, start + length // 4, 40):
        data[place] = int(rng.integers(0, 256))
    data[start : start + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))


def _poisoned(path: Path) -> pa.Table:
    """Return the rows of a file of suspects with another fingerprint, high confidence, in each row."""
    rows = pq.read_table(path)
    for name, text in (("fingerprint", POISON), ("confidence", "high")):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, name, pa.array([text] * rows.num_rows))
    return rows


def _unfinished(path: Path, folder: Path) -> Damage:
    """Leave a file that its writer has not finished."""
    left = path.with_name("." + path.name + ".part")
    write_file(left, _poisoned(path), facts_of("suspects"))
    return Damage(str(left.relative_to(folder)), "unfinished", False)


def _held(path: Path, folder: Path) -> Damage:
    """Leave what a merge leaves that ends before it deletes its sources: each row is there twice."""
    hold = path.parent.parent / (HOLD_PREFIX + path.stem)
    source = hold / "hosts=some-host" / path.name
    source.parent.mkdir(parents=True)
    shutil.copyfile(path, source)
    return Damage(str(source.relative_to(folder)), "source of a merge that was killed", False)


def _newer(path: Path, folder: Path) -> Damage:
    """Add a file of a later schema, in which a column has another meaning and another name."""
    rows = _poisoned(path)
    rows = rows.rename_columns(
        ["growth_kib" if name == "growth_bytes" else name for name in rows.column_names]
    )
    new = path.parent.parent / "hosts=newer-host" / path.name.replace("merged", "1-abc")
    new.parent.mkdir()
    write_file(new, rows, facts_of("suspects", SCHEMA_VERSION + 1))
    return Damage(str(new.relative_to(folder)), "a newer schema", True)
