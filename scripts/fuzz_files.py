"""Fuzz the readers of files, guided by coverage, and every view over what was read.

    python scripts/fuzz_files.py READER [--seconds N] [--folder DIR]

READER is ``snapshot`` (.memlens), ``heapsnapshot``, ``profile``, ``traces`` or ``report`` (the leak
reports that ``memlens fleet`` reads). Needs atheris (``pip install atheris``). The fuzzer chooses
the damage: in values, lengths and names of a valid file, whose checksums are computed again, or in
its bytes. An error that is not ours, an input that takes over 10 seconds or over 2 GiB, and a crash
end the run; the input is kept in DIR (``fuzz/READER`` by default) as ``crash-...``, ``timeout-...``
or ``oom-...``, and ``python scripts/fuzz_files.py READER FILE`` runs it again.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import atheris

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["memlens"]):
    import memlens
    from memlens.allocations.profile.allocation_profile import AllocationProfile
    from memlens.allocations.tracing.trace_store import TraceStore
    from memlens.fleet.files import read_report
    from memlens.fleet.fleet_report import FleetReport
    from memlens.fleet.groups import group_suspects
    from memlens.formats import devtools, firefox, folded, pprof, speedscope  # noqa: F401
    from memlens.formats.heapsnapshot import reader  # noqa: F401 - loaded when used
    from memlens.heap.snapshot import HeapSnapshot
    from memlens.profiler.file_owner import OwnedFile

from memlens.errors import MemlensError  # noqa: E402 - after what is instrumented
from tests.heap.damaged import mutate, stored, whole_heap, write_damaged  # noqa: E402
from tests.heap.test_damaged import VIEWS, look_at  # noqa: E402

RSS_MIB = 2048
SECONDS = 10
VALUES = (None, True, -1, 0, 1, 1.5, 2**31, 2**63, 10**30, 1e308, "", "x", "\x1b[2J", "\ud800", [], {},
          [[]], [-1], {"a": 1})  # fmt: skip


class Choices:
    """The methods of ``random.Random`` that the damage needs, over the bytes of the fuzzer."""

    def __init__(self, data: bytes) -> None:
        self._data = atheris.FuzzedDataProvider(data)

    def randrange(self, stop: int) -> int:
        """Return a number from 0 to below ``stop``."""
        return self._data.ConsumeIntInRange(0, max(0, stop - 1))

    def choice(self, values: Sequence[Any]) -> Any:
        """Return one of the values."""
        return values[self.randrange(len(values))]

    def random(self) -> float:
        """Return a number from 0 to below 1."""
        return self.randrange(1 << 16) / (1 << 16)

    def shuffle(self, values: list[Any]) -> None:
        """Put the values into another order."""
        for place in range(len(values) - 1, 0, -1):
            other = self.randrange(place + 1)
            values[place], values[other] = values[other], values[place]

    def rest(self) -> bytes:
        """Return the bytes that are left."""
        return self._data.ConsumeBytes(self._data.remaining_bytes())


def damaged_json(document: Any, choices: Choices) -> Any:
    """Return a copy of a JSON document with up to eight values replaced, removed or repeated."""
    document = copy.deepcopy(document)
    for _ in range(1 + choices.randrange(8)):
        node = document
        while True:
            places = list(node) if isinstance(node, dict) else range(len(node))
            if not places:
                break
            place = choices.choice(places)
            child = node[place]
            if isinstance(child, (dict, list)) and child and choices.randrange(4):
                node = child
                continue
            _damage_item(node, place, choices)
            break
    return document


def _damage_item(node: Any, place: Any, choices: Choices) -> None:
    kind = choices.randrange(6)
    if kind == 0:
        del node[place]
    elif kind == 1 and isinstance(node, list):
        node.extend(node[: 1 + choices.randrange(3)])
    elif kind == 2 and type(node[place]) is int:
        node[place] += choices.choice((-1000, -8, -1, 1, 7, 1000))
    else:
        node[place] = copy.deepcopy(choices.choice(VALUES))


def text_of(document: Any, choices: Choices) -> bytes:
    """Return a document as text, at times with its bytes cut or replaced."""
    text = json.dumps(document).encode("utf-8", "surrogatepass")
    if choices.randrange(8) == 0:
        cut = choices.randrange(len(text) + 1)
        text = text[:cut] + choices.rest() + text[cut + choices.randrange(64) :]
    return text


class Snapshots:
    """A snapshot with every section; each view looks at the damaged file."""

    def __init__(self) -> None:
        self.parts = stored(whole_heap())
        self.views = list(VIEWS.values())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        sections, facts, _ = mutate(*self.parts, choices)
        write_damaged(path, sections, facts)

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        for view in (choices.choice(self.views), choices.choice(self.views)):
            look_at(view(HeapSnapshot.load(path)))


class HeapSnapshots:
    """A file of Chrome DevTools, and three views over it."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.heapsnapshot")
            memlens.export(whole_heap(), path)
            self.document = json.loads(path.read_bytes())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(text_of(damaged_json(self.document, choices), choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        snapshot = memlens.load(path)
        for view in ("by type", "largest", "dominators", "paths", "containment"):
            look_at(VIEWS[view](snapshot))


class Profiles:
    """A saved profile of allocations."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.json")
            with memlens.AllocationProfiler() as profiler:
                self.kept = [bytearray(2000) for _ in range(2000)]
            profiler.profile().save(path)
            self.document = json.loads(path.read_bytes())

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(text_of(damaged_json(self.document, choices), choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        profile = AllocationProfile.load(path)
        str(profile), profile.to_dict(), profile.tree(), profile.by_site(), profile.by_module()
        profile.compare(profile)
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("pb.gz", "speedscope.json", "firefox.json", "folded", "heapprofile"):
                memlens.export(profile, Path(folder, f"x.{suffix}"))


class Traces:
    """A file of allocation traces, whose header and digest are computed again."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.traces")
            with TraceStore() as store:
                self.kept = [bytearray(2000) for _ in range(200)]
                store.take("one")
                self.kept += [bytearray(2000) for _ in range(200)]
                store.take("two")
            store.save(path)
            content = path.read_bytes()
        self.head, _, payload = content.partition(b"\n")
        try:
            payload = zlib.decompress(payload)
        except zlib.error:
            pass  # stored
        self.document = json.loads(payload)

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        text = text_of(damaged_json(self.document, choices), choices)
        payload = zlib.compress(text)
        words = self.head.split()
        words[2:] = [
            str(len(text)).encode(),
            str(len(payload)).encode(),
            hashlib.sha256(payload).hexdigest().encode(),
        ]
        Path(path).write_bytes(b" ".join(words) + b"\n" + payload)

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        store = TraceStore.load(path)
        str(store), str(store.top(5))
        str(store.compare(store.captures[0], store.captures[-1]))


class Reports:
    """A leak report in JSON, as ``memlens fleet`` reads it, grouped with itself."""

    def __init__(self) -> None:
        from tests.heap.test_damaged import shorter

        self.document = memlens.find_leaks([*shorter(), whole_heap()]).to_dict()

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(text_of(damaged_json(self.document, choices), choices))

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        size = os.path.getsize(path)
        pid = self.document["pid"]
        file = OwnedFile(os.fspath(path), "leak", pid, "1a", "20250131T120000123Z", size)
        process = read_report(file, os.path.dirname(path))
        str(process), json.dumps(process.to_dict())
        report = FleetReport((process,), tuple(group_suspects([process])))
        report.text(all_processes=True), json.dumps(report.to_dict())


READERS = {
    "snapshot": Snapshots,
    "heapsnapshot": HeapSnapshots,
    "profile": Profiles,
    "traces": Traces,
    "report": Reports,
}


def main() -> None:
    """Fuzz one reader, or run one input again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("input", nargs="?", help="a kept input to run again")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path("fuzz", arguments.reader)
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    reader = READERS[arguments.reader]()
    path = os.path.join(tempfile.mkdtemp(), "input")

    def once(data: bytes) -> None:
        choices = Choices(data)
        reader.write(path, choices)
        try:
            reader.read(path, choices)
        except MemlensError:
            pass

    options = [
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={RSS_MIB}",
        f"-max_total_time={arguments.seconds}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-max_len=256",
    ]
    what = [arguments.input] if arguments.input else [str(folder / "corpus")]
    atheris.Setup([sys.argv[0], *options, *what], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
