"""The command ``mcp`` where its extra is not installed."""

from __future__ import annotations

import sys

import pytest

from tests.cli.test_main import call


@pytest.mark.parametrize("missing", ["mcp", "anyio"])
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, missing):
    monkeypatch.delitem(sys.modules, "memlens.agents.server", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    done = call("mcp", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr
        == "memlens: mcp needs version 2 of the package mcp: pip install 'memlens[mcp]'\n"
    )
