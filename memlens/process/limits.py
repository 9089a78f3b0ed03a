"""The memory limit of this process: of its container, its address space or the machine.

Linux keeps limits in control groups, version 1 or 2. Every ancestor of a group may have a lower
limit: see the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. The part
of that tree that a container sees depends on its namespaces, so paths are resolved through
``/proc/self/cgroup`` (the group) and ``/proc/self/mountinfo`` (where its tree is mounted).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._text import format_bytes

__all__ = (
    "GIVEN",
    "LIMIT_SOURCES",
    "MemoryLimit",
    "memory_limit",
    "memory_limits",
    "pressure_file",
)

LIMIT_SOURCES = ("cgroup-v2", "cgroup-v1", "rlimit-as", "physical", "unknown")
GIVEN = "given"  # the source of a limit on resident memory that a caller states

# Version 1 has no "max". It writes the greatest multiple of the page size below 2 ** 63 instead.
_NO_LIMIT_BYTES = 1 << 62


@displayed
@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The lowest memory limit that applies to this process, in bytes.

    ``source`` is one of `LIMIT_SOURCES`, or `GIVEN`; ``path`` is the file that sets the limit, if
    there is one.
    ``used_bytes`` counts against this limit now. For a control group it is the memory of all
    processes in it without the file cache that the kernel can drop; for ``rlimit-as`` the address
    space; for ``physical`` the memory that the machine cannot make available.
    ``soft_limit_bytes`` is the lowest ``memory.high`` (version 2): above it the kernel slows the
    process down and reclaims memory, but does not kill. Unknown values are None.
    """

    limit_bytes: int | None
    source: str
    path: str | None = None
    used_bytes: int | None = None
    soft_limit_bytes: int | None = None

    @property
    def headroom_bytes(self) -> int | None:
        """What is left until the limit, not below 0; None where the limit or the use is unknown."""
        if self.limit_bytes is None or self.used_bytes is None:
            return None
        return max(0, self.limit_bytes - self.used_bytes)

    def __repr__(self) -> str:
        return f"<MemoryLimit {self}>"

    def __str__(self) -> str:
        if self.limit_bytes is None:
            return "no known limit"
        used = "" if self.used_bytes is None else f", {format_bytes(self.used_bytes)} used"
        where = f", {self.path}" if self.path else ""
        return f"{format_bytes(self.limit_bytes)} ({self.source}{where}){used}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {
            "limit_bytes": self.limit_bytes,
            "source": self.source,
            "path": self.path,
            "used_bytes": self.used_bytes,
            "soft_limit_bytes": self.soft_limit_bytes,
        }


def memory_limit(root: str | os.PathLike[str] = "/", pid: int | None = None) -> MemoryLimit:
    """Return the lowest limit on the memory of a process. Reads it at each call: limits change.

    Considers ``memory.max`` of control groups version 2 and ``memory.limit_in_bytes`` of version 1,
    both from the process's own group up to the top of the visible tree, RLIMIT_AS and the physical
    memory. Never raises: a limit that cannot be read is left out. ``root`` is the folder that
    contains ``proc`` and ``sys``. ``pid``: the process, by default this one.
    """
    limits = memory_limits(root, pid)
    groups_v2 = _groups(os.fspath(root), 2, pid)
    soft = [high for group in groups_v2 if (high := _number(group, "memory.high")) is not None]
    soft_limit = min(soft, default=None)
    if not limits:
        return MemoryLimit(None, "unknown", soft_limit_bytes=soft_limit)
    lowest = min(limits, key=lambda limit: limit.limit_bytes or 0)
    return MemoryLimit(
        lowest.limit_bytes, lowest.source, lowest.path, lowest.used_bytes, soft_limit
    )


def memory_limits(
    root: str | os.PathLike[str] = "/", pid: int | None = None
) -> tuple[MemoryLimit, ...]:
    """Return every limit on the memory of a process, as `memory_limit` finds them.

    The lowest limit need not be the nearest: a group further up is shared with other processes.
    """
    base = os.fspath(root)
    return (
        *_limits_v2(_groups(base, 2, pid)),
        *_limits_v1(_groups(base, 1, pid)),
        *_address_space_limit(base, pid),
        *_physical_memory(base),
    )


def pressure_file(root: str | os.PathLike[str] = "/") -> str | None:
    """Return the file that tells for how long the memory of this process's group was short.

    That is ``memory.pressure`` of a group of version 2; None where the kernel tells none.
    """
    for group in _groups(os.fspath(root), 2, None)[:1]:
        path = os.path.join(group, "memory.pressure")
        if os.access(path, os.R_OK):
            return path
    return None


def _limits_v2(groups: list[str]) -> Iterator[MemoryLimit]:
    for group in groups:
        limit = _number(group, "memory.max")
        if limit is not None:
            used = _used(group, "memory.current", "inactive_file")
            yield MemoryLimit(limit, "cgroup-v2", os.path.join(group, "memory.max"), used)


def _limits_v1(groups: list[str]) -> Iterator[MemoryLimit]:
    """Yield the limits of version 1, where ancestors count only if the hierarchy is enabled.

    ``hierarchical_memory_limit`` of the process's own group is the lowest limit of all ancestors
    that count, including those outside the container's view.
    """
    effective = _limit(_statistics(groups[0]).get("hierarchical_memory_limit")) if groups else None
    named = False
    for group in groups:
        limit = _number(group, "memory.limit_in_bytes")
        if limit is not None and (effective is None or limit >= effective):
            named = named or limit == effective
            used = _used(group, "memory.usage_in_bytes", "total_inactive_file")
            path = os.path.join(group, "memory.limit_in_bytes")
            yield MemoryLimit(limit, "cgroup-v1", path, used)
    if effective is not None and not named:
        yield MemoryLimit(effective, "cgroup-v1", os.path.join(groups[0], "memory.stat"))


def _address_space_limit(base: str, pid: int | None) -> Iterator[MemoryLimit]:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    if pid is None:
        soft, _hard = resource.getrlimit(resource.RLIMIT_AS)
    else:
        try:
            soft, _hard = resource.prlimit(pid, resource.RLIMIT_AS)
        except (OSError, AttributeError):  # of another user, it has ended; or no Linux
            return
    if soft == resource.RLIM_INFINITY or soft >= _NO_LIMIT_BYTES:
        return
    pages = _integer((_read(base, f"proc/{pid or 'self'}/statm") or "").partition(" ")[0])
    used = None if pages is None else pages * resource.getpagesize()
    yield MemoryLimit(soft, "rlimit-as", None, used)


def _physical_memory(base: str) -> Iterator[MemoryLimit]:
    """Yield the machine's memory, as the virtual machine or container shows it."""
    lines = (_read(base, "proc/meminfo") or "").splitlines()
    kib = {line.partition(":")[0]: _integer(line.partition(":")[2].strip(" kB")) for line in lines}
    total_kib, available_kib = kib.get("MemTotal"), kib.get("MemAvailable")
    if total_kib is not None:
        used = None if available_kib is None else (total_kib - available_kib) * 1024
        path = os.path.join(base, "proc/meminfo")
        yield MemoryLimit(total_kib * 1024, "physical", path, used)
    elif sys.platform == "win32":
        import psutil

        memory = psutil.virtual_memory()
        yield MemoryLimit(memory.total, "physical", None, memory.total - memory.available)
    else:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if total > 0:
            yield MemoryLimit(total, "physical")


def _groups(base: str, version: int, pid: int | None) -> list[str]:
    """Return the folders of the process's memory group and its ancestors, its own first."""
    path = _group_path(base, version, pid)
    mounts = _mounts(base, version)
    if path is None or not mounts:
        return []
    # If the tree is mounted several times, prefer the mount that shows this group.
    shown, mount_point = max(mounts, key=lambda mount: _is_below(path, mount[0]))
    inside = path[len(shown.rstrip("/")) :] if _is_below(path, shown) else ""
    # A group outside the namespace's root ("/../other") is not visible; use its mount.
    parts = [] if ".." in inside.split("/") else [part for part in inside.split("/") if part]
    top = os.path.join(base, mount_point.lstrip("/"))
    return [os.path.join(top, *parts[:depth]) for depth in range(len(parts), -1, -1)]


def _group_path(base: str, version: int, pid: int | None) -> str | None:
    """Return the path of the process's group, from the line ``id:controllers:path``."""
    for line in (_read(base, f"proc/{pid or 'self'}/cgroup") or "").splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            number, controllers, path = fields
            if version == 2 and number == "0" and not controllers:
                return path
            if version == 1 and "memory" in controllers.split(","):
                return path
    return None


def _mounts(base: str, version: int) -> list[tuple[str, str]]:
    """Return (group shown at the mount, mount point) for each mount of the memory tree.

    The fields of a line, see proc_pid_mountinfo(5): ``id parent device ROOT MOUNT-POINT options
    [optional...] - TYPE source SUPER-OPTIONS``.
    """
    found = []
    for line in (_read(base, "proc/self/mountinfo") or "").splitlines():
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not separator or len(fields) < 5 or len(rest) < 3:
            continue
        is_v2 = rest[0] == "cgroup2"
        is_v1 = rest[0] == "cgroup" and "memory" in rest[2].split(",")
        if (version == 2 and is_v2) or (version == 1 and is_v1):
            found.append((_unescaped(fields[3]), _unescaped(fields[4])))
    return found


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    """Return a path of mountinfo without its octal escapes for blanks and backslashes."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _used(group: str, usage_file: str, cache_name: str) -> int | None:
    usage = _number(group, usage_file)
    if usage is None:
        return None
    return max(0, usage - (_integer(_statistics(group).get(cache_name)) or 0))


def _statistics(group: str) -> dict[str, str]:
    lines = (_read(group, "memory.stat") or "").splitlines()
    return dict(fields for line in lines if len(fields := line.split()) == 2)


def _number(folder: str, name: str) -> int | None:
    return _limit(_read(folder, name))


def _limit(text: str | None) -> int | None:
    """Return the number in a limit or usage file; None for "no limit" of either version."""
    number = _integer(text)
    return None if number is None or number >= _NO_LIMIT_BYTES else number


def _integer(text: str | None) -> int | None:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdecimal() else None


def _read(folder: str, name: str) -> str | None:
    """Return the text of a small file, or None if it is missing or not readable."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return None
