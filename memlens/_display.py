"""How IPython, notebooks and the interactive interpreter show the values of memlens."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

from memlens._text import fitted

__all__ = ("displayed",)

_Value = TypeVar("_Value", bound=type)


def displayed(value_type: _Value) -> _Value:
    """Let IPython show the text of a value, and notebooks its HTML; a class decorator.

    At top level IPython shows ``str(value)``, within a list or dict the one-line ``repr``.
    """
    value_type._repr_pretty_ = _show_text  # type: ignore[attr-defined]
    value_type._repr_html_ = _html  # type: ignore[attr-defined]
    return value_type


def _show_text(value: object, printer: Any, cycle: bool) -> None:
    """Write the text that IPython shows; ``printer`` is its ``RepresentationPrinter``."""
    is_within = cycle or len(printer.stack) > 1
    printer.text(repr(value) if is_within else fitted(str(value)))


def _html(value: object) -> str | None:
    """Return HTML for notebooks; None for a value that has only text."""
    # By name: presentation lies above all values.
    text: str | None = import_module("memlens.report.html_fragment").fragment(value)
    return text
