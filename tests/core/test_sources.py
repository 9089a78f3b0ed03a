"""An install builds the C core from all of its sources: one left out leaves users the slow core."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_c_file_is_among_the_sources_of_the_extension():
    listed = re.findall(
        r'"(memlens/_core/native/\w+/\w+\.[ch])"', (ROOT / "pyproject.toml").read_text()
    )
    there = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "memlens" / "_core" / "native").rglob("*.[ch]")
    ]
    assert sorted(set(listed)) == sorted(there)
