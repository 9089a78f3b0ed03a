"""The options of the command line as values."""

from __future__ import annotations

import os

import pytest

from memlens.errors import MemlensError
from memlens.leaks.baselines import Baseline

__all__ = ("baseline_of", "saves_baseline", "saving_path")


def baseline_of(config: pytest.Config) -> Baseline | None:
    """Return the baseline of ``--memlens-baseline``; ends pytest if it cannot be read."""
    name = config.getoption("memlens_baseline")
    if not name:
        return None
    try:
        return Baseline.load(_absolute(config, name))
    except MemlensError as error:
        text = str(error).replace("--save-baseline", "--memlens-save-baseline")
        raise pytest.UsageError(f"--memlens-baseline: {text}") from None


def saves_baseline(config: pytest.Config) -> bool:
    """Tell whether this run writes a baseline, so that suspects do not fail a test."""
    return bool(config.getoption("memlens_save_baseline"))


def saving_path(config: pytest.Config) -> str | None:
    """Return the file to write the baseline to, or None."""
    name = config.getoption("memlens_save_baseline")
    return _absolute(config, name) if name else None


def _absolute(config: pytest.Config, name: str) -> str:
    return os.path.join(config.invocation_params.dir, name)
