"""The allocation sampler is C only: tests that need it are left out where it cannot be used."""

from __future__ import annotations

import os

import pytest

from memlens._core.sampler_api import why_unavailable

__all__ = ("need_sampler",)


def need_sampler() -> None:
    """Skip the test, or the module that calls this; where MEMLENS_PURE is 0 it has to be there."""
    reason = why_unavailable()
    if reason is not None:
        assert os.environ.get("MEMLENS_PURE") != "0", reason
        pytest.skip(reason, allow_module_level=True)
