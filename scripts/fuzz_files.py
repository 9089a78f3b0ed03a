"""Fuzz everything that memlens reads, guided by coverage, and every view over what was read.

    python scripts/fuzz_files.py READER [--seconds N] [--folder DIR]
    python scripts/fuzz_files.py READER FILE            # run a kept input again
    python scripts/fuzz_files.py READER --minimise      # choose the seeds of the suite

READER is one of ``tests/damaged/readers.py``: files of memlens and of other tools, tables, requests and
answers, environment variables. Needs atheris (``pip install atheris``), the tables pyarrow and duckdb.
The fuzzer chooses the damage: in values, lengths and names of a valid file, whose checksums are
computed again, or in its bytes. An error that is not ours, more memory than a multiple of the input, an
input that takes over 10 seconds or over 2 GiB, and a crash end the run. The input is kept in DIR
(``fuzz/READER`` by default) as ``crash-...``, ``timeout-...`` or ``oom-...``.

``--minimise`` writes the few shortest inputs of DIR that reach most of what all of them reach to
``tests/damaged/seeds``, where the suite runs them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PACKAGE = str(ROOT / "memlens") + os.sep
RSS_MIB = 2048
SECONDS = 10
MAX_LENGTH = 256  # bytes of an input
MAX_SEEDS = 40
RANDOM_INPUTS = 200  # that a run begins with
MAX_INPUTS = 3000  # of a corpus, from which seeds are chosen


def fuzz(name: str, folder: Path, seconds: int, given: str | None) -> None:
    """Fuzz one reader, or run one input again."""
    import atheris

    path = os.path.join(tempfile.mkdtemp(prefix="memlens-fuzz-"), "input")
    with atheris.instrument_imports(include=["memlens"]):
        from tests.damaged.readers import READERS, run_once

        reader = READERS[name]()
        for first in (b"", b"\1" * 40):  # loads what is loaded when used
            run_once(name, reader, first, path)

    def once(data: bytes) -> None:
        run_once(name, reader, data, path)

    options = [
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={RSS_MIB}",
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        f"-max_len={MAX_LENGTH}",
        "-len_control=0",  # long inputs at once: most bytes are choices
    ]
    what = [given] if given else [str(folder / "corpus")]
    if not given:
        _begin(name, folder / "corpus")
    atheris.Setup([sys.argv[0], *options, *what], once)
    atheris.Fuzz()


def _begin(name: str, corpus: Path) -> None:
    """Put the seeds of the suite and some inputs at random into a corpus."""
    known = ROOT / "tests/damaged/seeds" / f"{name}.txt"
    lines = known.read_text().split() if known.exists() else []
    inputs = [bytes.fromhex(line) for line in lines]
    inputs += [random.Random(number).randbytes(64) for number in range(RANDOM_INPUTS)]
    for number, data in enumerate(inputs):
        (corpus / f"begin-{number}").write_bytes(data)


def minimise(name: str, folder: Path) -> None:
    """Choose seeds greedily: the input that adds most new jumps between lines for its length."""
    from tests.damaged.readers import READERS, run_once

    reader = READERS[name]()
    path = os.path.join(tempfile.mkdtemp(prefix="memlens-fuzz-"), "input")

    def reached(data: bytes) -> set[Any]:
        found: set[Any] = set()

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            last = [0]

            def line(frame: Any, event: str, argument: Any) -> Any:
                found.add((frame.f_code, last[0], frame.f_lineno))
                last[0] = frame.f_lineno
                return line

            return line

        sys.settrace(trace)
        try:
            run_once(name, reader, data, path)
        finally:
            sys.settrace(None)
        return found

    reached(b"")  # what happens in the first call only
    inputs = sorted((path.read_bytes() for path in (folder / "corpus").iterdir()), key=len)
    jumps = {data: reached(data) for data in dict.fromkeys(inputs[:MAX_INPUTS])}
    left = set().union(*jumps.values())
    total, chosen = len(left), []
    while left and len(chosen) < MAX_SEEDS:
        best = max(jumps, key=lambda data: len(jumps[data] & left) / (16 + len(data)))
        new = jumps[best] & left
        if not new:
            break
        chosen.append(_cut(best, new, reached))
        left -= new
    text = "".join(f"{data.hex()}\n" for data in chosen)
    (ROOT / "tests/damaged/seeds" / f"{name}.txt").write_text(text)
    size = sum(map(len, chosen))
    print(
        f"{name}: {len(chosen)} seeds of {size} bytes reach {total - len(left)} of {total} jumps that"
        f" {len(jumps)} inputs reach"
    )


def _cut(data: bytes, wanted: set[Any], reached: Any) -> bytes:
    """Return the shortest beginning, of some, that reaches what is wanted."""
    step = len(data) // 2
    while step:
        if len(data) > step and wanted <= reached(data[:-step]):
            data = data[:-step]
        else:
            step //= 2
    return data


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reader")
    parser.add_argument("input", nargs="?", help="a kept input to run again")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--minimise", action="store_true", help="choose the seeds of the suite")
    arguments = parser.parse_args()
    folder = arguments.folder or Path("fuzz", arguments.reader)
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    if arguments.minimise:
        minimise(arguments.reader, folder)
    else:
        fuzz(arguments.reader, folder, arguments.seconds, arguments.input)


if __name__ == "__main__":
    main()
