"""Output of values: coloured on a terminal, plain text of at most 100 columns elsewhere."""

from __future__ import annotations

from typing import Any, TextIO

__all__ = ("show",)

_STYLES = (
    # What readers look for first: the names of holders, the growth, and what to do.
    (r"^\d+\. (?P<holder>\S.*?) grows:", ("bold red",)),
    (r"^  (holder|gains|held by|allocated at|pattern|what to do) ", ("cyan",)),
    (r"\+[\d.,]+ ?(?:B|KiB|MiB|GiB|elements)\b", ("bold yellow",)),
)


def show(value: Any, stream: TextIO) -> None:
    """Write ``str(value)`` to a stream, coloured if it is a terminal."""
    text = str(value)
    if not stream.isatty():
        print(text, file=stream)
        return
    from rich.console import Console
    from rich.text import Text

    styled = Text(text)
    for pattern, (style,) in _STYLES:
        styled.highlight_regex(f"(?m){pattern}", style)
    Console(file=stream, highlight=False, soft_wrap=True).print(styled)
