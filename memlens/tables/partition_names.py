"""The names of the folders of a table folder: ``service=…``, ``day=…``, ``hosts=…``.

Values are percent-encoded as Hive does it, so DuckDB, Spark, Polars and pyarrow decode them.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from urllib.parse import unquote

from memlens.tables.arrow_types import clean_text

__all__ = (
    "ALL_HOSTS",
    "HOLD_PREFIX",
    "MERGED_FOLDER",
    "day_folder",
    "day_of",
    "encode_name",
    "hosts_folder",
    "hosts_of",
    "is_ignored_name",
    "service_folder",
    "service_of",
)

ALL_HOSTS = "all"  # of merged files
MERGED_FOLDER = f"hosts={ALL_HOSTS}"
HOLD_PREFIX = "_merging-"
_EMPTY = "__HIVE_DEFAULT_PARTITION__"
_ESCAPED = re.compile("[\x00-\x20\"#%&'*+/:;<=>?\\\\{}\\[\\]^|~$`\x7f]")
_MAX_BYTES = 200  # of 255 that a file system takes: the key, and the suffixes of files, come to it
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})")


def encode_name(text: str) -> str:
    """Return a text as one name of a file or folder.

    Control characters, separators and what stands for something in a pattern are percent-encoded.
    A name that is too long is cut, and ends in a hash of the whole.
    """
    encoded = _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", clean_text(text))
    if encoded.startswith(("_", ".")):  # readers ignore such names
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded.encode()) <= _MAX_BYTES:
        return encoded
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:16]
    short = encoded.encode()[: _MAX_BYTES - 17].decode("utf-8", "ignore")
    return re.sub(r"%.?\Z", "", short) + "-" + digest


def service_folder(service: str) -> str:
    """Return the name of the folder of a service."""
    return f"service={encode_name(service) or _EMPTY}"


def day_folder(day: datetime.date) -> str:
    """Return the name of the folder of a day."""
    return f"day={day.isoformat()}"


def hosts_folder(host: str) -> str:
    """Return the name of the folder of a host; ``hosts=all`` is of merged files only."""
    name = encode_name(host) or _EMPTY
    return f"hosts=%61{name[1:]}" if name == ALL_HOSTS else f"hosts={name}"


def service_of(folder: str) -> str | None:
    """Return the service of a folder; None if the folder is of none."""
    return _value_of(folder, "service=")


def hosts_of(folder: str) -> str | None:
    """Return the host of a folder, `ALL_HOSTS` for merged files; None if the folder is of none."""
    return _value_of(folder, "hosts=")


def day_of(folder: str) -> datetime.date | None:
    """Return the day of a folder; None if the folder is of none."""
    found = _DAY.fullmatch(folder)
    try:
        return datetime.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _value_of(folder: str, key: str) -> str | None:
    if not folder.startswith(key) or folder == key:
        return None
    value = folder.removeprefix(key)
    return "" if value == _EMPTY else unquote(value)


def is_ignored_name(name: str) -> bool:
    """Return whether readers ignore a file or folder: it is hidden, temporary or being merged."""
    return name.startswith(("_", ".")) or name.endswith(".part")
