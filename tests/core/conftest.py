"""Every test of the core runs on both implementations, through the fixture ``core``."""

from __future__ import annotations

import importlib
import os

import pytest

PURE = "memlens._core.pure"
NATIVE = "memlens._core._native"


def load_implementations(setting, import_module=importlib.import_module):
    """The implementations to test, by short name.

    Without the extension its tests do not exist, unless ``setting`` (the environment variable
    MEMLENS_PURE) demands it. An extension that is there but does not load is an error always.
    """
    implementations = {"pure": import_module(PURE)}
    try:
        implementations["native"] = import_module(NATIVE)
    except ModuleNotFoundError as error:
        if error.name != NATIVE or setting == "0":
            raise
    return implementations


IMPLEMENTATIONS = load_implementations(os.environ.get("MEMLENS_PURE"))


@pytest.fixture(params=sorted(IMPLEMENTATIONS), scope="module")
def core(request):
    return IMPLEMENTATIONS[request.param]
