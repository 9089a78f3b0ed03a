"""Helpers for tests of measured blocks and functions."""

from __future__ import annotations

import functools

import pytest

from memlens.decorators import profile_memory

KIB, MIB = 1 << 10, 1 << 20
NOISE = 16 * KIB  # frames, argument tuples and objects of the event loop

quiet = functools.partial(profile_memory, report=None)


def near(size_bytes):
    """Return a number that equals sizes within the noise of the interpreter."""
    return pytest.approx(size_bytes, abs=NOISE)


def churn(size_bytes):
    """Allocate and free."""
    bytearray(size_bytes)
