"""Judge the diagnosis on the programs of the zoo.

    python -m tests.zoo.judge [NAME ...] [--form snapshots|two|run|profiler|all] [--json]

Each program runs in a process of its own, one after the other; NAME is that of a row, or of its
healthy twin with ``~``. The forms:

- ``snapshots``: ``find_leaks`` over four snapshots, taken between steps of the program;
- ``two``: the same over two snapshots;
- ``run``: ``python -m memlens run``: snapshots at the start, in the run and at the exit;
- ``profiler``: a ``MemoryProfiler`` that was started first, asked for its report before the end.

A leak counts as explained when the first suspect is right in its holder, a growing type and the
pattern. A healthy program must give no suspect. Of growth that no object explains, no holder may be
blamed; ``run`` and ``profiler`` must say that there is such growth, and of healthy programs that
there is none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.zoo.catalogue import FORMS, PROGRAMS, Case, cases

ROOT = Path(__file__).resolve().parent.parent.parent
CHILD = Path(__file__).with_name("child.py")
TIMEOUT_SECONDS = 180
MIN_SNAPSHOTS = 3  # of a timed run; with fewer, silence means nothing
# No whole number: else the last periodic snapshot falls on the program's end, and nothing can grow
# from it to the snapshot at the exit. The interval is below the second at which `run` samples.
INTERVALS = 4.5

MAX_ERROR = 0.05  # of native growth in bytes: mappings are of whole pages

RIGHT = ("explained", "silent")


def fits(case: Case, suspect: dict) -> bool:
    """Tell whether a suspect is right in its holder and in one of its growing types."""
    row = case.row
    text = suspect["holder"] + (f" {suspect['path']['text']}" if row.anywhere else "")
    names = {name.rpartition(".")[2] for name in suspect["growing_types"]}
    return any(re.search(one, text) for one in row.holders) and not names.isdisjoint(row.types)


def has_right_size(suspect: dict, native_bytes: int) -> bool:
    """Tell whether a suspect's native growth is that of the elements that it gained."""
    grown = sum(one["growth_bytes"] for one in suspect["native_growth"])
    expected = suspect["count_growth"] * native_bytes
    return abs(grown - expected) <= MAX_ERROR * expected


def verdict(case: Case, suspects: list[dict], said: str | None = None) -> str:
    """Compare the suspects, and the verdict that was said, with what the catalogue expects."""
    if not case.leaks:
        is_unexplained = case.row.verdict == "unexplained" and not case.twin
        expected = "unexplained growth" if is_unexplained else "no leak"
        if not suspects and said not in (None, expected):
            return f"SAID {said.upper()}"
        return "silent" if not suspects else "FALSE ALARM"
    if not suspects:
        return "MISSED"
    first, row = suspects[0], case.row
    if fits(case, first):
        if first["pattern"] not in row.patterns:
            return "explained (other pattern)"
        if row.once and sum(fits(case, one) for one in suspects) > 1:
            return "explained (in pieces)"
        told = f"{first['suggestion']} {json.dumps(first['sites'])}"
        if row.site is not None and not re.search(row.site, told):
            return "explained (other site)"
        if row.native_bytes is not None and not has_right_size(first, row.native_bytes):
            return "explained (other size)"
        return "explained"
    return "in top 5" if any(fits(case, one) for one in suspects[:5]) else "found, not explained"


def suspects_of(case: Case, form: str, seconds: float, seed: int) -> tuple[list[dict], str | None]:
    """Run a program in one form; return the suspects, and the verdict of a report.

    Raises ``RuntimeError`` if the program fails.
    """
    program = PROGRAMS / f"{case.row.name}.py"
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    output = folder / "report.json"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        "ZOO_SECONDS": str(seconds if form in ("run", "profiler") else 0),
        "ZOO_SEED": str(seed),
        "ZOO_TWIN": "1" if case.twin else "0",
    }
    if form == "run":
        interval = ["--snapshot-interval", str(seconds / INTERVALS)]
        command = ["-m", "memlens", "run", "-o", str(folder), "--json", *interval, str(program)]
    else:
        command = [str(CHILD), form, case.row.baseline, str(program), str(output)]
    try:
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        if done.returncode or not output.exists():
            raise RuntimeError((done.stderr.strip().splitlines() or ["no output"])[-1])
        report = json.loads(output.read_text(encoding="utf-8"))
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not done after {TIMEOUT_SECONDS} s") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return suspects_in(report) if form in ("run", "profiler") else (report, None)


def suspects_in(report: dict) -> tuple[list[dict], str | None]:
    """Return the suspects and the verdict of a profiler's report.

    Raises ``RuntimeError`` if none was looked for.
    ``leaks`` is None where nothing was found, too: the number of snapshots tells the difference.
    """
    count = len(report["snapshots"])
    if count < MIN_SNAPSHOTS:
        raise RuntimeError(f"only {count} snapshots were taken: nothing was diagnosed")
    leaks = report["leaks"]
    return (leaks["suspects"], leaks["verdict"]) if leaks else ([], None)


def judge(case: Case, form: str, seconds: float, seed: int) -> dict:
    """Run a program in one form and return the result as a row of the table."""
    result = {"name": case.name, "form": form, "classes": case.row.classes, "leaks": case.leaks}
    if case.row.needs and importlib.util.find_spec(case.row.needs) is None:
        return {**result, "verdict": f"skipped: no {case.row.needs}", "suspects": [], "seconds": 0}
    start = time.monotonic()
    try:
        suspects, said = suspects_of(case, form, seconds, seed)
        told = verdict(case, suspects, said)
    except RuntimeError as error:
        suspects, told = [], f"ERROR {error}"
    spent = round(time.monotonic() - start, 1)
    return {**result, "verdict": told, "suspects": suspects[:5], "seconds": spent}


def line_of(result: dict) -> str:
    """Return a result as a line of the table."""
    told = ""
    if result["suspects"]:
        first = result["suspects"][0]
        kinds = ", ".join(first["growing_types"][:2])
        told = f"{first['holder'][:80]} [{first['pattern']}: {kinds}]"
        if len(result["suspects"]) > 1:
            told += f" and {len(result['suspects']) - 1} more"
    return f"{result['name']:26} {result['form']:9} {result['verdict'][:70]:26} {told}".rstrip()


def summary_of(results: list[dict]) -> list[str]:
    """Say for each form how many leaks were explained and how many healthy programs silent."""
    lines = []
    for form in dict.fromkeys(result["form"] for result in results):
        judged = [
            one
            for one in results
            if one["form"] == form and not one["verdict"].startswith("skipped")
        ]
        for leaks, what, good in (
            (True, "leaks explained first", "explained"),
            (False, "healthy programs silent", "silent"),
        ):
            group = [one["verdict"].partition(":")[0] for one in judged if one["leaks"] is leaks]
            if group:
                tally = Counter("ERROR" if one.startswith("ERROR") else one for one in group)
                share = tally[good] / len(group)
                rest = "; ".join(f"{k}: {n}" for k, n in sorted(tally.items()) if k != good)
                lines.append(f"{form}: {tally[good]} of {len(group)} {what} ({share:.0%}); {rest}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--form", choices=(*FORMS, "all"), default="snapshots")
    parser.add_argument("--only", choices=("leaks", "healthy"), help="judge only these")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a timed run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_intermixed_args()
    unknown = set(arguments.names) - {one.name for one in cases()}
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    results = []
    for case in cases():
        if arguments.names and case.name not in arguments.names:
            continue
        if arguments.only and case.leaks is not (arguments.only == "leaks"):
            continue
        for form in case.row.forms:
            if arguments.form in (form, "all"):
                results.append(judge(case, form, arguments.seconds, arguments.seed))
                print(
                    line_of(results[-1]),
                    file=sys.stderr if arguments.json else sys.stdout,
                    flush=True,
                )
    if arguments.json:
        print(json.dumps({"results": results, "summary": summary_of(results)}, indent=1))
    else:
        print("\n".join(["", *summary_of(results)]))
    good = [one["verdict"] in RIGHT or one["verdict"].startswith("skipped") for one in results]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
