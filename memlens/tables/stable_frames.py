"""Frames as texts that are equal in every process, whatever folder the code is installed in.

- A file of an installed package is named below ``site-packages``: ``requests/sessions.py``.
- A file of the standard library is named below its folder, ``json/decoder.py``, and without a line,
  because lines differ between the patch releases of Python.
- A file of the program is named below the entry of ``sys.path`` that contains it, where these are
  known: ``shop/cart.py``. Otherwise its last folder and its name remain.
- What has no file, such as ``<string>``, stays as it is; ``<frozen ...>`` is the standard library.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable

from memlens._frame import Frame, printable

__all__ = ("StableFrames", "import_folders")

_PACKAGES = re.compile(r".*[/\\](?:site|dist)-packages[/\\]")
_STANDARD = re.compile(r".*[/\\](?:lib(?:64)?[/\\]python3\.\d+t?|Lib)[/\\]")
_FROZEN = "<frozen "
_MAX_PARTS = 2  # of a file of a folder that is not known


def import_folders() -> tuple[str, ...]:
    """Return the folders that this process imports from, absolute: the entries of ``sys.path``."""
    try:
        here = os.getcwd()
    except OSError:  # the working folder was deleted
        here = ""
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    found = dict.fromkeys(os.path.normpath(os.path.join(here, entry)) for entry in entries)
    return tuple(folder for folder in found if os.path.isabs(folder))


class StableFrames:
    """Gives the text of a frame. ``folders``: those that the program imports from, if known."""

    def __init__(self, folders: Iterable[str] = ()) -> None:
        ends = (folder.rstrip("/\\") + os.sep for folder in folders)
        self._folders = sorted(ends, key=len, reverse=True)  # the innermost first
        self._files: dict[str, tuple[str, bool]] = {}

    def __repr__(self) -> str:
        return f"<StableFrames: {len(self._folders)} folders>"

    def text(self, frame: Frame) -> str:
        """Return ``function (file:line)``, with the file as the module describes it."""
        known = self._files.get(frame.file)
        if known is None:
            known = self._files[frame.file] = self._name(frame.file)
        file, is_standard = known
        return str(Frame(frame.function, file, 0 if is_standard else frame.line))

    def _name(self, file: str) -> tuple[str, bool]:
        """Return the stable name of a file, and whether it is of the standard library."""
        for pattern, is_standard in ((_PACKAGES, False), (_STANDARD, True)):
            match = pattern.match(file)
            if match is not None:
                return _with_slashes(file[match.end() :]), is_standard
        if file.startswith("<") or not file:
            return printable(file), file.startswith(_FROZEN)
        for folder in self._folders:
            if file.startswith(folder):
                return _with_slashes(file[len(folder) :]), False
        return "/".join(_with_slashes(file).split("/")[-_MAX_PARTS:]), False


def _with_slashes(file: str) -> str:
    return file.replace("\\", "/")
