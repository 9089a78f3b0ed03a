"""Damaged JSON that memlens reads: reports of a fleet, baselines, notes of a runtime folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import memlens
from memlens.fleet.files import read_report
from memlens.fleet.fleet_report import FleetReport
from memlens.fleet.groups import group_suspects
from memlens.leaks.baselines import Baseline
from memlens.profiler import registry
from memlens.profiler.file_owner import OwnedFile, owner_suffix
from tests.damaged.choices import Choices, json_bytes
from tests.heap.damaged import whole_heap
from tests.heap.test_damaged import shorter


class _Documents:
    """A JSON document, of which damaged copies are written."""

    document: Any

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        Path(path).write_bytes(json_bytes(self.document, choices))


class Reports(_Documents):
    """A leak report in JSON, as ``memlens fleet`` reads it, grouped with itself."""

    def __init__(self) -> None:
        self.document = memlens.find_leaks([*shorter(), whole_heap()]).to_dict()

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""
        size = os.path.getsize(path)
        pid = self.document["pid"]
        file = OwnedFile(os.fspath(path), "leak", pid, "1a", "20250131T120000123Z", size)
        ignore = ("app", r".*\d$") if choices.randrange(4) == 0 else ()
        process = read_report(file, os.path.dirname(path), ignore)
        str(process), json.dumps(process.to_dict())
        report = FleetReport((process,), tuple(group_suspects([process])))
        report.text(all_processes=True), json.dumps(report.to_dict())
        report.to_html(path + ".html")


class Baselines(_Documents):
    """A baseline, against which a report is made."""

    def __init__(self) -> None:
        self.report = memlens.find_leaks([*shorter(), whole_heap()])
        known = [{"fingerprint": one.fingerprint, "holder": one.holder} for one in self.report]
        self.document = {"format": "memlens-baseline", "suspects": [*known, *known]}

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and compare with it."""
        known = Baseline.load(path)
        str(known), repr(known), [(str(one), repr(one), one.to_dict()) for one in known]
        known.gone(one.fingerprint for one in self.report)
        known.save(path + ".again")
        report = memlens.find_leaks([*shorter(), whole_heap()], baseline=path)
        str(report), json.dumps(report.to_dict())


class Notes(_Documents):
    """What a profiler notes in the runtime folder about its process."""

    def __init__(self) -> None:
        self.document = {"pid": os.getpid(), "output_dir": "/"}

    def read(self, path: str, choices: Choices) -> None:
        """Read it as that of this process. None is the answer where it is damaged."""
        os.replace(path, os.path.join(os.path.dirname(path), f"{owner_suffix()}.json"))
        found = registry.folder_of(os.getpid(), [os.path.dirname(path)])
        assert found is None or isinstance(found, str)
