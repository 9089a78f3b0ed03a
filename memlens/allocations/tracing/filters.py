"""Which traces to keep: by the file of the frame that allocated."""

from __future__ import annotations

from collections.abc import Sequence

from memlens._package import CODE_FOLDER
from memlens.allocations.options import check_globs

__all__ = ("FileFilter", "is_memlens_file", "is_tracing_file")

_IMPORT_SYSTEM = "<frozen importlib."


def is_memlens_file(file: str) -> bool:
    """Tell whether a file is part of memlens."""
    return file.startswith(CODE_FOLDER)


def is_tracing_file(file: str) -> bool:
    """Tell whether a file is part of what traces: memlens or ``tracemalloc``."""
    if is_memlens_file(file):
        return True
    import tracemalloc

    return file == tracemalloc.__file__


class FileFilter:
    """Decides by its file name whether a trace is kept.

    A file is kept if it matches one of ``include`` (all do where that is empty) and none of
    ``exclude``; patterns are those of ``fnmatch``. The frames of memlens, of ``tracemalloc`` and of
    the import system are left out unless ``internal`` is true.
    """

    def __init__(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), *, internal: bool = False
    ) -> None:
        self.include = check_globs("include", include)
        self.exclude = check_globs("exclude", exclude)
        self.internal = internal
        self._known: dict[str, bool] = {}

    def __call__(self, file: str) -> bool:
        """Tell whether traces of this file are kept."""
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
