"""Frame: one place in a call path, as every allocation value of ours names it."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

__all__ = ("CallPath", "Frame", "path_order", "printable", "traced_as_ours")

_Value = TypeVar("_Value", bound=type)


def traced_as_ours(value_type: _Value) -> _Value:
    """Make traces of new values of a ``NamedTuple`` known as memlens's; a class decorator.

    Its constructor is compiled from a text, so that traces would name the file ``<string>``, which
    nobody can tell from the program's own.
    """
    constructor = value_type.__new__
    constructor.__code__ = constructor.__code__.replace(
        co_filename=traced_as_ours.__code__.co_filename
    )
    return value_type


@traced_as_ours
class Frame(NamedTuple):
    """One place in the code: the function where it is known, the file and the line.

    ``function`` is None where the source has no names (tracemalloc); ``line`` is 0 where a whole
    file is meant or the line is not known. A call path is a tuple of frames in the order of a
    Python traceback: the outermost call first, the frame that allocated last.
    """

    function: str | None
    file: str
    line: int

    @property
    def location(self) -> str:
        """``file:line``, or the file alone where there is no line."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        text = f"{self.function} ({self.location})" if self.function else self.location
        return printable(text)


CallPath = tuple[Frame, ...]


def path_order(path: CallPath) -> tuple[tuple[str, int, str], ...]:
    """Return a key that sorts call paths: by file, line and function (which may be None)."""
    return tuple((frame.file, frame.line, frame.function or "") for frame in path)


def printable(text: str) -> str:
    r"""Return ``text`` with what a terminal cannot show escaped: line breaks, lone surrogates.

    File names are bytes to the system: one that is not UTF-8 would make ``print`` raise.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
