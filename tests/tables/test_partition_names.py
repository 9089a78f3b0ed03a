"""The names of folders: they lead nowhere else, and are decoded as they were encoded."""

from __future__ import annotations

import datetime
import os

from hypothesis import example, given
from hypothesis import strategies as st

from memlens.tables.partition_names import (
    day_folder,
    day_of,
    encode_name,
    hosts_folder,
    hosts_of,
    is_ignored_name,
    service_folder,
    service_of,
)

NAMES = st.text(st.characters(codec="utf-8"), max_size=60)


@given(NAMES)
@example("")
@example("..")
@example("../../etc")
@example("a/b\\c\0d")
@example("__HIVE_DEFAULT_PARTITION__")
@example("all")
@example("100 %41")
@example("größe=1")
@example(".part")
def test_a_name_is_one_folder_and_is_decoded(name):
    for encode, decode in ((service_folder, service_of), (hosts_folder, hosts_of)):
        folder = encode(name)
        assert "/" not in folder and "\0" not in folder and folder not in (".", "..")
        assert os.path.normpath(f"x/{folder}") == f"x/{folder}"
        assert not is_ignored_name(folder.removesuffix(".part"))
        assert decode(folder) == name


@given(st.text(max_size=3000), st.text(max_size=3000))
@example("é" * 1000, "é" * 1001)
@example("/" * 1000, "/" * 999)
@example("\udc80", "\\udc80x")
def test_a_long_name_fits_and_differs_from_others(one, other):
    for text in (one, other):
        assert len(os.fsencode(service_folder(text))) < 230
        assert len(os.fsencode(encode_name(text)) + b".parquet") <= 208
    clean = [text.encode("utf-8", "backslashreplace") for text in (one, other)]
    assert (service_folder(one) == service_folder(other)) == (clean[0] == clean[1])


def test_merged_files_have_a_folder_that_no_host_has():
    assert hosts_folder("all") == "hosts=%61ll" and hosts_of("hosts=%61ll") == "all"
    assert hosts_folder("allow") == "hosts=allow"


@given(st.dates())
def test_a_day_is_decoded(day):
    assert day_of(day_folder(day)) == day


def test_other_folders_are_none():
    for name in ("day=", "day=2026-1-1", "day=2026-02-30", "days=2026-01-01", "2026-01-01"):
        assert day_of(name) is None
    assert service_of("hosts=x") is None and hosts_of("hosts=") is None
    assert day_of(day_folder(datetime.date(2026, 1, 2))) == datetime.date(2026, 1, 2)
