"""Frame: a place in the code, used by allocations, heap snapshots and leak reports."""

from __future__ import annotations

import os
import re
from typing import NamedTuple, TypeVar

from memlens._display import displayed
from memlens._package import CODE_FOLDER
from memlens._text import printable

__all__ = (
    "NATIVE_FRAME",
    "CallPath",
    "Frame",
    "is_library_file",
    "is_program_file",
    "path_order",
    "printable",
    "traced_as_ours",
)

_Value = TypeVar("_Value", bound=type)
_INTERACTIVE = ("<stdin>", "<console>", "<ipython-input", "<python-input", "<cell")
_DEMO_FOLDER = os.path.join(CODE_FOLDER, "demo", "")
_LIBRARY_FOLDERS = ("/site-packages/", "/dist-packages/")
_STANDARD_LIBRARY = re.compile(r"[/\\](?:lib/python3\.\d+t?|Lib)[/\\]|^<frozen ")


def traced_as_ours(value_type: _Value) -> _Value:
    """Mark what the constructor of a ``NamedTuple`` allocates as memlens's; a class decorator.

    The constructor is compiled from generated text, so traces would attribute its allocations to
    the file ``<string>`` and could not be told apart from those of the program.
    """
    constructor = value_type.__new__
    constructor.__code__ = constructor.__code__.replace(
        co_filename=traced_as_ours.__code__.co_filename
    )
    return value_type


@displayed
@traced_as_ours
class Frame(NamedTuple):
    """A place in the code: function, file and line. Prints as ``function (file:line)``.

    ``function`` is None where the source does not name functions (tracemalloc, definitions).
    ``line`` is 0 for a whole file or an unknown line; ``file`` is empty for native code. A call
    path is a tuple of frames in the order of a Python traceback: the outermost call first, the
    frame that allocated last.
    """

    function: str | None
    file: str
    line: int

    @property
    def location(self) -> str:
        """``file:line``, or the file alone if the line is not known."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def package_location(self) -> str:
        """The `location`, printable, without the folder that packages are installed in."""
        for folder in _LIBRARY_FOLDERS:
            if folder in self.file:
                return printable(self._replace(file=self.file.partition(folder)[2]).location)
        return printable(self.location)

    def short(self) -> str:
        """Return the frame as text, with only the last folder of its file."""
        return str(self._replace(file="/".join(self.file.replace("\\", "/").split("/")[-2:])))

    def __str__(self) -> str:
        if not self.function:
            return printable(self.location)
        return printable(f"{self.function} ({self.location})" if self.file else self.function)


NATIVE_FRAME = Frame("<native>", "", 0)  # allocated while no Python code ran
CallPath = tuple[Frame, ...]


def is_library_file(file: str) -> bool:
    """Tell whether a source file belongs to an installed package or the standard library."""
    return any(folder in file for folder in _LIBRARY_FOLDERS) or (
        _STANDARD_LIBRARY.search(file) is not None
    )


def is_program_file(file: str) -> bool:
    """Tell whether code is of the program itself: a file of its own, a notebook's cell, a prompt.

    It is not of an installed package, the standard library or memlens, nor generated.
    """
    if file.startswith("<"):
        return file.startswith(_INTERACTIVE)
    is_ours = file.startswith(CODE_FOLDER) and not file.startswith(_DEMO_FOLDER)
    return bool(file) and not is_ours and not is_library_file(file)


def path_order(path: CallPath) -> tuple[tuple[str, int, str], ...]:
    """Return a sort key for call paths: by file, line and function (which may be None)."""
    return tuple((frame.file, frame.line, frame.function or "") for frame in path)
