"""RepeatedTest: call a test again and again, as if it were run anew each time.

A round is a call of the test with function-scoped fixtures of its own: after each call they are torn
down, and set up again for the next. Else a test that creates a file in ``tmp_path``, or counts what
is in a fixture, would fail in the second round, and what it puts into a fixture would look like a
leak. Fixtures of a wider scope stay.

What pytest records of a test (its output, log records, warnings, properties) is dropped after each
round but the last one, so that the report shows one call, and the records do not grow.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

__all__ = ("RepeatedTest",)


class RepeatedTest:
    """One test in its call phase, set up by pytest."""

    def __init__(self, item: pytest.Item) -> None:
        self._item: Any = item
        self._property_count = len(item.user_properties)
        self._stash = dict(_stored(item))

    @property
    def has_failed(self) -> bool:
        """Whether a ``unittest`` method has failed or was skipped: pytest raises that later."""
        return bool(getattr(self._item, "_excinfo", None))

    def call(self) -> None:
        """Call the test; what it raises is raised, a failure of ``unittest`` too."""
        with _warnings_dropped():
            self._item.runtest()
        if self.has_failed:
            raise self._item._excinfo[0].value

    def tear_down(self, *, is_last: bool) -> None:
        """Tear down the function-scoped fixtures and drop the values of all fixtures."""
        item = self._item
        if not hasattr(item, "_initrequest"):
            return  # no function of Python, so it has no fixtures
        with nullcontext() if is_last else _warnings_dropped():
            item.session._setupstate.teardown_exact(item.parent)
        _drop_instance(item)
        item._initrequest()
        for key, value in self._stash.items():  # tmp_path deletes its entry
            _stored(item).setdefault(key, value)

    def set_up(self) -> None:
        """Set up the function-scoped fixtures for the next call, and drop records of the last one."""
        self._drop_records()
        if hasattr(self._item, "_initrequest"):
            with _warnings_dropped():  # a fixture may warn in each round
                self._item.session._setupstate.setup(self._item)

    def _drop_records(self) -> None:
        item = self._item
        del item.user_properties[self._property_count :]
        for handler in _log_handlers():
            handler.clear()
        capture = item.config.pluginmanager.getplugin("capturemanager")
        if capture is not None and capture.is_globally_capturing():
            capture.read_global_capture()


def _warnings_dropped() -> AbstractContextManager[object]:
    """Drop the warnings of a block, which pytest would keep in a list. The filters stay."""
    return warnings.catch_warnings(record=True)


def _stored(item: Any) -> dict[Any, Any]:
    """Return what plugins keep with a test: its stash has no public way to copy it."""
    stored: dict[Any, Any] = getattr(item.stash, "_storage", {})
    return stored


def _drop_instance(item: Any) -> None:
    """Let a method of a class get a new instance, as it would in a run of its own."""
    instance = getattr(item._obj, "__self__", None)
    if isinstance(item.parent, pytest.Class) and type(instance) is item.parent.obj:
        item._obj = None
        vars(item).pop("_instance", None)  # since pytest 8.2


def _log_handlers() -> list[Any]:
    """Return the handlers by which pytest captures log records."""
    logging = sys.modules.get("logging")
    if logging is None:
        return []
    return [
        handler
        for handler in logging.getLogger().handlers
        if type(handler).__module__ == "_pytest.logging" and hasattr(handler, "clear")
    ]
