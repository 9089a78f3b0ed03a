"""Types are found by name in what is imported, and no code runs on the way."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import memlens
from memlens import _core
from memlens.errors import OptionError
from memlens.heap.native import registry
from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.registry import active_types, register_native, unregister_native

PACKAGE = Path(memlens.__file__).parent


class Touched(AssertionError):
    pass


class GuardedModule(ModuleType):
    def __getattribute__(self, name):
        raise Touched(name)


class GuardedType(type):
    def __getattribute__(cls, name):
        raise Touched(name)


class Blob(metaclass=GuardedType):
    class Part:
        pass


class Narrow(Blob):
    pass


class Unrelated:
    pass


class VendorUnlisted:
    pass


def blocks_of(owner):
    return ()


def other_blocks_of(owner):
    return ()


@pytest.fixture
def vendor(monkeypatch):
    """A library named vendor with the module vendor.lib."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_BUILT_IN", {})
    lib = GuardedModule("vendor.lib")
    contents = ModuleType.__dict__["__dict__"].__get__(lib)
    contents.update(Blob=Blob, Narrow=Narrow, Unrelated=Unrelated, number=5)
    monkeypatch.setitem(sys.modules, "vendor", ModuleType("vendor"))
    monkeypatch.setitem(sys.modules, "vendor.lib", lib)
    return monkeypatch


def build_in(monkeypatch, adapters):
    """Make the adapters built-in ones."""
    module = ModuleType("adapters_of_vendor")
    module.ADAPTERS = adapters
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "_BUILT_IN", {adapters.library: module.__name__})


def found():
    """Return the active types by their keys; a dict of guarded types cannot be printed."""
    return {id(cls): adapter[:2] for cls, adapter in active_types()}


def test_a_registered_type_is_active_where_it_is_imported(vendor):
    register_native("vendor.lib.Blob", blocks_of)
    register_native("vendor.lib.Blob.Part", other_blocks_of)
    register_native("vendor.lib.Missing", blocks_of)
    register_native("vendor.lib.number", blocks_of)
    register_native("elsewhere.Blob", blocks_of)
    part = type.__dict__["__dict__"].__get__(Blob)["Part"]
    assert found() == {
        id(Blob): ("vendor", blocks_of),
        id(part): ("vendor", other_blocks_of),
    }
    unregister_native("vendor.lib.Blob")
    assert found() == {id(part): ("vendor", other_blocks_of)}


def test_a_second_registration_replaces_the_first_and_what_is_built_in(vendor):
    build_in(vendor, LibraryAdapters("vendor", {"vendor.lib.Blob": blocks_of}))
    assert found()[id(Blob)][1] is blocks_of
    register_native("vendor.lib.Blob", blocks_of)
    register_native("vendor.lib.Blob", other_blocks_of)
    assert found()[id(Blob)][1] is other_blocks_of
    unregister_native("vendor.lib.Blob")
    assert found()[id(Blob)][1] is blocks_of


def test_a_family_is_the_classes_of_the_module_that_derive_from_its_base(vendor):
    adapters = LibraryAdapters(
        "vendor", {"vendor.lib.Narrow": other_blocks_of}, {"vendor.lib.Blob": blocks_of}
    )
    build_in(vendor, adapters)
    assert found() == {
        id(Blob): ("vendor", blocks_of),
        id(Narrow): ("vendor", other_blocks_of),
    }


def test_a_type_that_stands_in_no_module_is_found_by_its_name(vendor):
    adapters = LibraryAdapters("vendor", {}, unlisted={"VendorUnlisted": blocks_of})
    build_in(vendor, adapters)
    assert found() == {id(VendorUnlisted): ("vendor", blocks_of)}


def test_a_library_that_is_not_imported_has_no_types(vendor):
    build_in(
        vendor,
        LibraryAdapters(
            "absent", {"vendor.lib.Blob": blocks_of}, {}, {"VendorUnlisted": blocks_of}
        ),
    )
    assert found() == {}


def test_a_lazy_module_is_not_loaded(vendor):
    spec = importlib.util.find_spec("this")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vendor.setitem(sys.modules, "lazy_vendor", module)
    register_native("lazy_vendor.Blob", blocks_of)
    assert found() == {}
    assert object.__getattribute__(module, "__class__") is not ModuleType


def test_what_is_no_module_is_left_alone(vendor):
    vendor.setitem(sys.modules, "odd_vendor", SimpleNamespace(Blob=Blob))
    vendor.setitem(sys.modules, "none_vendor", None)
    register_native("odd_vendor.Blob", blocks_of)
    register_native("none_vendor.Blob", blocks_of)
    assert found() == {}


@pytest.mark.parametrize(
    "name", ["Blob", "", "vendor.", ".Blob", "vendor..Blob", "a b.C", "vendor.1"]
)
def test_a_name_that_is_no_module_and_type_is_refused(vendor, name):
    with pytest.raises(OptionError, match="type_name must be a module and a type"):
        register_native(name, blocks_of)


def test_wrong_arguments_are_refused(vendor):
    with pytest.raises(OptionError, match="type_name must be a string"):
        register_native(Unrelated, blocks_of)
    with pytest.raises(OptionError, match="blocks_of must be a function"):
        register_native("vendor.Blob", None)
    with pytest.raises(OptionError, match="type_name must be a string"):
        unregister_native(5)
    with pytest.raises(OptionError, match=r"nothing is registered for 'vendor\.Blob'"):
        unregister_native("vendor.Blob")
    assert found() == {}


def test_the_built_in_adapters_import_no_library():
    script = (
        "import sys\n"
        "from importlib import import_module\n"
        "from memlens.heap.native.registry import _BUILT_IN, active_types\n"
        "before = {*sys.modules}\n"
        "assert {adapter.library for _, adapter in active_types()} <= before & {'lzma'}\n"
        "for library, module in _BUILT_IN.items():\n"
        "    assert import_module(module).ADAPTERS.library == library\n"
        "    assert library in before or library not in sys.modules, library\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PACKAGE.parent)


WITHOUT_CTYPES = """
import sys
sys.modules["_ctypes"] = None  # as in an interpreter without libffi
import lzma
import memlens
from memlens.heap.native import registry
snapshot = memlens.take_heap_snapshot(mode=sys.argv[1])
assert snapshot.graph.adapter_notes == [], snapshot.graph.adapter_notes
registry._BUILT_IN["lzma"] = "memlens.no_such_adapter"
snapshot = memlens.take_heap_snapshot(mode=sys.argv[1])
(note,) = snapshot.graph.adapter_notes
assert not note.is_complete
print(note)
"""


@pytest.mark.parametrize("mode", ["fork", "inline"])
def test_a_library_whose_adapter_cannot_be_imported_is_noted(mode):
    if mode == "fork" and _core.fork_capture is None:
        pytest.skip("only the C core captures in a fork")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_CTYPES, mode],
        capture_output=True, text=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = "1 objects, 1 failed (its adapter cannot be imported: ModuleNotFoundError)"
    assert done.stdout.strip() == f"lzma: {expected}"


def test_a_capture_does_not_import_ctypes():
    script = (
        "import shutil, sys\n"
        "import lzma\n"
        "import memlens\n"
        "before = 'ctypes' in sys.modules\n"
        "memlens.take_heap_snapshot()\n"
        "assert before or 'ctypes' not in sys.modules\n"
        "assert not before, 'memlens imports it itself'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PACKAGE.parent)


class Comparing(type):
    """A metaclass with code of the program where types are compared or hashed."""

    def __eq__(cls, other):
        raise Touched("==")

    def __hash__(cls):
        raise Touched("hash")

    def mro(cls):
        return [*type.mro(cls)]


class Odd(metaclass=Comparing):
    pass


class OddChild(Odd):
    pass


@pytest.mark.parametrize("pure", [False, True])
def test_types_are_never_compared_or_hashed(vendor, pure):
    from memlens import _core
    from memlens._core import pure as pure_core
    from memlens.heap.capture.native_options import native_options

    ModuleType.__dict__["__dict__"].__get__(sys.modules["vendor.lib"]).update(
        Odd=Odd, OddChild=OddChild
    )
    adapters = LibraryAdapters("vendor", {}, {"vendor.lib.Odd": lambda odd: [(0, 77, "npu")]})
    build_in(vendor, adapters)
    register_native("vendor.lib.OddChild", lambda child: [(0, 99, "npu")])
    assert {*found()} == {id(Odd), id(OddChild)}
    kept = [Odd(), OddChild(), Odd()]
    heap = (pure_core if pure else _core).capture(**native_options(forked=False))
    sizes = sorted(heap["node_size"][node] for node in heap["native_node"])
    assert kept
    assert [size for size in sizes if size in (77, 99)] == [77, 77, 99]
