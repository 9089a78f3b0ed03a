"""The names in the tables: types, holders, call paths, fingerprints; equal for each seed."""

from __future__ import annotations

from dataclasses import dataclass

from memlens.leaks.fingerprints import fingerprint_of
from memlens.tables.allocation_paths import path_id_of

__all__ = ("FALSE_SUSPECTS", "KNOWN", "LEAK", "NEW_CACHE", "SuspectText", "call_paths", "holders",
           "types")  # fmt: skip

_PLAIN = (
    "dict", "str", "list", "tuple", "bytes", "function", "code", "type", "set", "int", "float",
    "frozenset", "cell", "property", "bytearray", "weakref.ReferenceType", "datetime.datetime",
    "decimal.Decimal", "uuid.UUID", "collections.OrderedDict", "collections.deque",
    "re.Pattern", "numpy.ndarray", "asyncio.Future", "asyncio.Task",
)  # fmt: skip
_MODULES = ("catalog", "pricing", "basket", "users", "audit", "http", "storage", "search")
_CLASSES = ("Entry", "Row", "Rule", "Session", "Event", "Query", "Token", "Page", "Node", "Plan")


@dataclass(frozen=True, slots=True)
class SuspectText:
    """The texts of a suspect, as `memlens` writes them."""

    holder: str
    holder_type: str
    growing_types: tuple[str, ...]
    pattern: str | None
    site: str

    @property
    def fingerprint(self) -> str:
        """The id of the leak, equal in each process."""
        return fingerprint_of(f"module {self.holder}", self.growing_types, self.pattern)


LEAK = SuspectText(
    "app.basket.pending_quotes", "dict", ("app.basket.Quote", "dict", "str"), "registry",
    "quote (app/basket.py:118)",
)  # fmt: skip
KNOWN = SuspectText(
    "app.audit.recent_events", "list", ("app.audit.Event", "tuple"), "history",
    "record (app/audit.py:47)",
)  # fmt: skip
NEW_CACHE = SuspectText(
    "app.catalog.product_cache", "dict", ("app.catalog.Page", "str"), "cache",
    "load (app/catalog.py:71)",
)  # fmt: skip
FALSE_SUSPECTS = tuple(
    SuspectText(
        f"app.{module}.{holder}", "dict", (f"app.{module}.{_CLASSES[number]}",), pattern,
        f"{holder} (app/{module}.py:{20 + number})",
    )
    for number, module in enumerate(_MODULES)
    for holder, pattern in (("memo", "cache"), ("buffers", None), ("index", "registry"))
)  # fmt: skip


def types(count: int) -> list[str]:
    """Return the names of types, those of the leaks and of the new cache among the first."""
    first = ["dict", "str", "list", LEAK.growing_types[0], KNOWN.growing_types[0],
             NEW_CACHE.growing_types[0]]  # fmt: skip
    others = [
        f"{package}.{module}.{name}"
        for package in ("app", "orm", "rpc")
        for name in _CLASSES
        for module in _MODULES
    ]
    return _filled(first, [*_PLAIN, *others], count)


def holders(count: int) -> list[tuple[str, str]]:
    """Return places with the types of the holders, the largest first."""
    first = [(one.holder, one.holder_type) for one in (LEAK, KNOWN, NEW_CACHE)]
    others = [
        (f"app.{module}.{name.lower()}s{suffix}", kind)
        for suffix, kind in (("", "dict"), ("_by_id", "dict"), ("_queue", "collections.deque"))
        for name in _CLASSES
        for module in _MODULES
    ]
    return _filled(first, others, count)


def call_paths(count: int) -> list[tuple[str, ...]]:
    """Return call paths, the outermost call first; those of the leaks come first."""
    outer = ("<module> (app/main.py:9)", "serve (app/server.py:31)")
    first = [(*outer, f"handle (app/http.py:{line})", one.site)
             for line, one in ((52, LEAK), (77, KNOWN), (88, NEW_CACHE))]  # fmt: skip
    others = [
        (
            *outer,
            *(f"step{depth} ({package}/{module}.py:{10 * depth})" for depth in range(number % 5)),
            f"{name.lower()} ({package}/{module}.py:{100 + number})",
        )
        for package in ("app", "orm", "rpc")
        for number, name in enumerate(_CLASSES)
        for module in _MODULES
    ]
    return _filled(first, others, count)


def path_ids(paths: list[tuple[str, ...]]) -> list[str]:
    """Return the hashes of call paths."""
    return [path_id_of(path) for path in paths]


def _filled(first: list, others: list, count: int) -> list:
    found = list(dict.fromkeys([*first, *others]))
    if count > len(found):
        raise ValueError(f"there are {len(found)} names, not {count}")
    return found[:count]
