"""Select traces by the file of the frame that allocated."""

from __future__ import annotations

from collections.abc import Sequence

from memlens._options import check_texts
from memlens._package import CODE_FOLDER

__all__ = ("FileFilter", "is_memlens_file", "is_tracing_file")

_IMPORT_SYSTEM = "<frozen importlib."


def is_memlens_file(file: str) -> bool:
    """Return whether a file is part of memlens."""
    return file.startswith(CODE_FOLDER)


def is_tracing_file(file: str) -> bool:
    """Return whether a file is part of memlens or of ``tracemalloc``."""
    if is_memlens_file(file):
        return True
    import tracemalloc

    return file == tracemalloc.__file__


class FileFilter:
    """A predicate on file names: calling it returns whether to keep a trace of the file.

    A file is kept if it matches a pattern of ``include`` (or ``include`` is empty) and no pattern
    of ``exclude``. Patterns are those of ``fnmatch``. Files of memlens, of ``tracemalloc`` and of
    the import system are dropped unless ``internal`` is true.
    """

    def __init__(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), *, internal: bool = False
    ) -> None:
        self.include = check_texts("include", include)
        self.exclude = check_texts("exclude", exclude)
        self.internal = internal
        self._known: dict[str, bool] = {}

    def __call__(self, file: str) -> bool:
        """Return whether to keep traces of this file."""
        kept = self._known.get(file)
        if kept is None:
            kept = self._known[file] = self._decide(file)
        return kept

    def _decide(self, file: str) -> bool:
        from fnmatch import fnmatch

        if not self.internal and (is_tracing_file(file) or file.startswith(_IMPORT_SYSTEM)):
            return False
        if self.include and not any(fnmatch(file, pattern) for pattern in self.include):
            return False
        return not any(fnmatch(file, pattern) for pattern in self.exclude)
