"""Every test of the core runs on both implementations, through the fixture ``core``."""

from __future__ import annotations

import importlib
import os

import pytest

PURE = "memlens._core.pure"
GRAPH = "memlens._core._graph"
CAPTURE = "memlens._core._capture"


class Extensions:
    """The two C extensions as one implementation of the core."""

    __name__ = "C"

    def __init__(self, *modules):
        self.modules = modules

    def __getattr__(self, name):
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)

    def __dir__(self):
        return [name for module in self.modules for name in dir(module)]


def load_implementations(setting, import_module=importlib.import_module):
    """The implementations to test, by short name.

    Without the extensions their tests do not exist, unless ``setting`` (the environment variable
    MEMLENS_PURE) demands them. An extension that is there but does not load is always an error.
    """
    implementations = {"pure": import_module(PURE)}
    try:
        implementations["C"] = Extensions(import_module(GRAPH), import_module(CAPTURE))
    except ModuleNotFoundError as error:
        if error.name not in (GRAPH, CAPTURE) or setting == "0":
            raise
    return implementations


IMPLEMENTATIONS = load_implementations(os.environ.get("MEMLENS_PURE"))


@pytest.fixture(params=sorted(IMPLEMENTATIONS), scope="module")
def core(request):
    return IMPLEMENTATIONS[request.param]
