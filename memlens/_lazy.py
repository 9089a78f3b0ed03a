"""Load the public names of a package when they are first used.

A service that only imports memlens then pays for nothing else. In a package's ``__init__.py``::

    __getattr__, __dir__ = lazy_exports(__name__, {"memlens.errors": ("MemlensError",)})
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

__all__ = ("lazy_exports",)


def lazy_exports(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the functions ``__getattr__`` and ``__dir__`` of a package.

    ``homes`` maps each module to the names that ``package`` exports from it. A name is imported at
    its first use and stored in the package; an unknown name raises AttributeError.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def load(name: str) -> object:
        import importlib

        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home != "memlens.errors":
            from memlens._interpreter import require_usable_interpreter

            require_usable_interpreter(f"{package}.{name}")  # before extensions are loaded there
        value: object = getattr(importlib.import_module(home), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of})

    return load, names
