"""Output of values: coloured on a terminal, plain text of at most 100 columns elsewhere.

As rich decides: ``NO_COLOR`` leaves the colours out, ``TERM=dumb`` all control characters, and
``FORCE_COLOR`` colours what is piped.
"""

from __future__ import annotations

import os
from typing import Any, TextIO

__all__ = ("show",)

_HEADER = (
    "(?:before|count|growth|live|retained|share|size|survivors|taken|total|wasted)"  # the first one
)

_STYLES = (
    # What readers look for first: the names of holders, the growth, and what to do.
    (r"^\d+\. (?P<holder>\S.*?) grows:", ("bold red",)),
    (r"^  (holder|gains|held by|allocated at|pattern|what to do) ", ("cyan",)),
    (r"\+[\d.,]+ ?(?:B|KiB|MiB|GiB|elements)\b", ("bold yellow",)),
    # Tables and trees: the line of headers, and what connects the branches.
    (rf"^ *{_HEADER}(?:  +[a-z±Δ(][a-z±Δ(), ]*)*$", ("bold",)),
    (r"[├└│─]+", ("dim",)),
)


def show(value: Any, stream: TextIO) -> None:
    """Write ``str(value)`` to a stream, coloured if it is a terminal or ``FORCE_COLOR`` is set."""
    text = str(value)
    if not stream.isatty() and not os.environ.get("FORCE_COLOR"):
        print(text, file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    styled = Text(text)
    for pattern, (style,) in _STYLES:
        styled.highlight_regex(f"(?m){pattern}", style)
    Console(file=stream, highlight=False, soft_wrap=True).print(styled)
