"""Metrics without the libraries that they are for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from memlens.errors import MissingExtraError, OptionError
from memlens.integrations.opentelemetry import instrument
from memlens.integrations.prometheus import MemlensCollector
from tests.profiler.planted import profiler_in


@pytest.mark.parametrize(
    ("make", "library", "extra"),
    [
        (MemlensCollector, "prometheus_client", "prometheus"),
        (instrument, "opentelemetry", "opentelemetry"),
    ],
)
def test_the_error_names_the_extra(make, library, extra, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)  # importing it fails
    with pytest.raises(MissingExtraError, match=rf"pip install 'memlens\[{extra}\]'"):
        make(profiler_in(tmp_path))


@pytest.mark.parametrize("make", [MemlensCollector, instrument])
def test_a_wrong_profiler_is_refused_first(make):
    with pytest.raises(OptionError):
        make(None)


def test_memlens_imports_neither_library_by_itself():
    program = (
        "import sys, memlens, memlens.integrations.prometheus, memlens.integrations.opentelemetry,"
        " memlens.integrations.profiles_out\n"
        "print({name.partition('.')[0] for name in sys.modules}"
        " & {'prometheus_client', 'opentelemetry', 'google'})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
