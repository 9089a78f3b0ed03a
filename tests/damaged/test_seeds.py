"""What the fuzzer has found to reach most of each reader is read again: only our errors leave it.

A seed is a line of hexadecimal digits: the choices that damage a valid file. `scripts/fuzz_files.py
READER --minimise` chooses them anew, which is useful after changes to a reader; old ones stay valid.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import random
from pathlib import Path

import pytest

from tests.damaged.readers import READERS, run_once

SEEDS = Path(__file__).with_name("seeds")
OPTIONAL = {"table", "tables", "heaps"}  # need pyarrow, and all but the first duckdb
MAX_BYTES = 8192  # of all seeds together


made = {}


def reader_of(name):
    if name not in made:
        made[name] = READERS[name]()
    return made[name]


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open():
    yield
    if "agent" in made:
        made["agent"].close()
    made.clear()
    gc.collect()


def seeds_of(name):
    return [bytes.fromhex(line) for line in (SEEDS / f"{name}.txt").read_text().split()]


@pytest.mark.parametrize("name", READERS)
def test_the_seeds_raise_only_our_errors_and_take_little_memory(tmp_path, name):
    for number, seed in enumerate(seeds_of(name)):
        (tmp_path / str(number)).mkdir(mode=0o700)
        run_once(name, reader_of(name), seed, os.fspath(tmp_path / str(number) / "input"))


def test_every_reader_has_seeds_and_they_are_small():
    assert {path.stem for path in SEEDS.iterdir()} == {*READERS} | OPTIONAL
    assert sum(len(seed) for name in READERS for seed in seeds_of(name)) < MAX_BYTES


@pytest.mark.parametrize("name", sorted({*READERS} - {"tables", "heaps"}))
def test_choices_at_random_raise_only_our_errors(tmp_path, name):
    for number in range(40):
        data = random.Random(number).randbytes(64)
        run_once(name, reader_of(name), data, os.fspath(tmp_path / "input"))


class Greedy:
    """A reader that takes more memory than its input is worth."""

    def write(self, path, choices):
        Path(path).write_bytes(b"x")

    def read(self, path, choices):
        bytearray(300 << 20).count(1)


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
def test_the_memory_of_a_reader_is_checked(tmp_path):
    with pytest.raises(AssertionError, match=r"(299|3\d\d) MiB for 1 bytes"):
        run_once("snapshot", Greedy(), b"", os.fspath(tmp_path / "input"))


def test_the_tables_are_fuzzed_where_their_libraries_are_installed():
    has = {name: bool(importlib.util.find_spec(name)) for name in ("pyarrow", "duckdb")}
    assert ("table" in READERS) == has["pyarrow"]
    assert ("tables" in READERS) == all(has.values())
