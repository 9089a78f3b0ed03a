"""Does it name the holder? Leaks of published libraries under memlens and its peers, by the same rule.

    python -m benchmarks.peers.libraries CORPUS [--environment DIR] [--work DIR]
                                         [--tools TOOL,...] [CASE ...]

CORPUS is a folder with ``cases.json`` (of each case the verdict, and of a leak regular expressions
for its holder and names of its types) and ``cases/NAME/``: ``repro.py`` with ``step(number)`` and
``EXPECT``, ``requirements.txt`` with the leaking release, ``requirements_fixed.txt`` with one that
is mended. Each case has an environment of its own in the work folder: the pinned release first,
then the tools of the common environment. The program runs the steps at an even pace, so that each
tool works as in `benchmarks.peers`. A right line is one of ``repro.py`` or of the library: the
programs do nothing but leak, so this is a gift to profilers of allocations.

memlens gives a verdict, so it also runs on the mended releases and on the cases that are no leak,
where it must be silent.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import __main__ as peers
from tests.zoo.catalogue import PROGRAMS

MAX_STEPS = 800
PROGRAM = """\
import repro
from support.pace import ticks

warm = max(repro.EXPECT.get({warm!r}, repro.EXPECT.get("warm", 50)), 20)
for number in range(warm):
    repro.step(number)
for number in ticks():
    repro.step(warm + number)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the corpus with the leaking release, or with the mended one."""

    name: str
    folder: Path
    expected: dict[str, Any]
    mended: bool = False

    @property
    def leaks(self) -> bool:
        """Whether a suspect is expected."""
        return self.expected["verdict"] == "leak" and not self.mended

    @property
    def requirements(self) -> Path:
        """The file with the pinned release; it may be missing."""
        return self.folder / ("requirements_fixed.txt" if self.mended else "requirements.txt")

    @property
    def release(self) -> str:
        """The pinned release, as in ``blinker==1.3``, or that it is Python's own library."""
        found = self.requirements.read_text().split() if self.requirements.exists() else []
        return " ".join(found) or "standard library"

    @property
    def steps(self) -> int:
        """How many steps the program runs after its warm-up."""
        found = re.search(r"\bn=(\d+)", (self.folder / "repro.py").read_text(encoding="utf-8"))
        return min(MAX_STEPS, 4 * int(found[1]) if found else MAX_STEPS)


def main() -> None:
    """Run the tools on the cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tools = (*peers.INSIDE, *peers.OUTSIDE)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("names", nargs="*", metavar="CASE")
    parser.add_argument("--environment", type=Path, default=peers.ROOT / "build" / "peers")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "peers-corpus")
    parser.add_argument("--tools", default=",".join(tools))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what each tool said")
    options = parser.parse_intermixed_args()
    common = peers.make_environment(options.environment)
    chosen = options.tools.split(",")
    found = cases(options.corpus, options.names)
    print(f"{peers.datetime.date.today()}, {peers.versions(common)}\n")
    print(f"{'':24}" + "".join(f"{tool:>12}" for tool in chosen) + "  release")
    said: dict[str, dict[str, str]] = {}
    sums = dict.fromkeys(chosen, (0, 0, 0))
    for case in filter(lambda one: one.leaks, found):
        python = environment(case, common, options.work)
        cells = []
        for tool in chosen:
            text = said_by(python, tool, case)
            said.setdefault(case.name, {})[tool] = text
            right = judged(case, text)
            sums[tool] = tuple(map(sum, zip(sums[tool], right, strict=True)))  # type: ignore[assignment]
            cells.append(
                "".join(n[0] if one else "-" for n, one in zip(peers.FOUND, right, strict=True))
            )
        print(
            f"{case.name:24}" + "".join(f"{cell:>12}" for cell in cells) + f"  {case.release}",
            flush=True,
        )
        if options.json:
            options.json.write_text(json.dumps(said, indent=1), encoding="utf-8")
    for place, name in enumerate(peers.FOUND):
        print(f"{f'names the {name}':24}" + "".join(f"{one[place]:>12}" for one in sums.values()))
    if "memlens" in chosen:
        print_silence([one for one in found if not one.leaks], common, options.work)


def print_silence(healthy: list[Case], common: str, work: Path) -> None:
    """Run memlens where there is no leak."""
    print("\nNo leak: memlens must be silent.")
    for case in healthy:
        text = said_by(environment(case, common, work), "memlens", case)
        verdict = "no answer" if not text else "FALSE ALARM" if "\n1. " in text else "silent"
        print(f"{case.name:24}{verdict:>12}  {case.release}", flush=True)


def cases(corpus: Path, names: list[str]) -> list[Case]:
    """Return the cases of a corpus, each mended one after the one that leaks."""
    found = []
    for name, expected in json.loads((corpus / "cases.json").read_text(encoding="utf-8")).items():
        folder = corpus.resolve() / "cases" / name
        if not names or name in names:
            found.append(Case(name, folder, expected))
            if (folder / "requirements_fixed.txt").exists():
                found.append(Case(name, folder, expected, mended=True))
    return found


def environment(case: Case, common: str, work: Path) -> str:
    """Return the Python of a case: its pinned release comes before the tools and what they need."""
    folder = work.resolve() / "environments" / (case.name + ("-mended" if case.mended else ""))
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([common, "-m", "venv", str(folder)], check=True)
        if case.requirements.exists():
            install = [str(python), "-m", "pip", "install", "-q", "-r", str(case.requirements)]
            subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        places = [
            subprocess.run(
                [one, "-c", code], capture_output=True, text=True, check=True
            ).stdout.strip()
            for one in (str(python), common)
        ]
        Path(places[0], "tools.pth").write_text(places[1] + "\n")
        script = folder / "bin" / "ddtrace-run"
        script.write_text(f"#!{python}\nfrom ddtrace.commands.ddtrace_run import main\nmain()\n")
        script.chmod(0o755)
        ready.touch()
    return str(python)


def said_by(python: str, tool: str, case: Case) -> str:
    """Run a case under a tool, in a folder whose name tells nothing, and return what the tool says."""
    settings = {
        **os.environ, "PYTHONPATH": str(peers.ROOT), "ZOO_SECONDS": "2", "ZOO_STEPS": str(case.steps),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as output:
        shutil.copy(case.folder / "repro.py", folder)
        shutil.copytree(PROGRAMS / "support", Path(folder, "support"))
        program = Path(folder, "program.py")
        program.write_text(PROGRAM.format(warm="fixed_warm" if case.mended else "warm"))
        run = peers.inside if tool in peers.INSIDE else getattr(peers, f"by_{tool}")
        try:
            return str(run(python, tool, str(program), output, settings))
        except (subprocess.SubprocessError, OSError, ValueError, KeyError) as error:
            reason = f"{type(error).__name__}: {str(error)[-200:]}"
            print(f"    {tool} on {case.name}: {reason}", file=sys.stderr, flush=True)
            return ""


def judged(case: Case, said: str) -> tuple[bool, bool, bool]:
    """Return whether the holder, a type that accumulates, and a line of code are named."""
    text = "\n".join(said.splitlines()[: peers.SHOWN_LINES])
    types = "|".join(map(re.escape, case.expected["types"]))
    package = re.split(r"[=<>~ ]", case.release)[0].replace("-", "_")
    return (
        any(re.search(rf"\b{peers.name_in(one)}\b", text) for one in case.expected["holder"]),
        re.search(rf"\b({types})\b", text) is not None,
        re.search(rf"(repro|[/ ]{package}[\w/]*)\.py\W+(line )?\d+", text) is not None,
    )


if __name__ == "__main__":
    main()
