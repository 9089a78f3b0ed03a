"""Many files out of few: links to the same files, which need no space."""

from __future__ import annotations

import os
from pathlib import Path

from memlens.tables.table_folder import list_tables

__all__ = ("repeat_files",)


def repeat_files(source: str, target: str, copies: int) -> None:
    """Link each readable file of a table folder ``copies`` times, in the folder of its day.

    A reader has ``copies`` times as many files, bytes and rows. It has no more processes: the rows of
    one are there several times.
    """
    for file in [one for files in list_tables(source).files.values() for one in files]:
        place = Path(file.path).relative_to(source)
        for number in range(copies):
            folder = Path(target, *place.parts[:-1])
            folder.mkdir(parents=True, exist_ok=True)
            os.link(file.path, folder / f"{number:03d}-{place.name}")
