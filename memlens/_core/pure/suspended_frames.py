"""Names of the variables of frames, generators and coroutines that are not running.

Traversal yields the values of such a frame in the order of its variables without the unbound ones,
then its evaluation stack. A value gets a name only if the order is unambiguous.
"""

from __future__ import annotations

import opcode
from types import CellType, CodeType, FrameType, FunctionType
from typing import Any

from memlens._core.pure.running_frames import bound_variables, variable_names

__all__ = ("IS_GENERATOR", "frame_items", "generator_items", "name_variables")

_DELETE_FAST = opcode.opmap["DELETE_FAST"]
IS_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR
_VARARGS_FLAGS = 0x04, 0x08  # CO_VARARGS, CO_VARKEYWORDS
_contents = CellType.__dict__["cell_contents"].__get__


def argument_count(code: CodeType) -> int:
    """Return the number of leading variables that are arguments and always stay bound."""
    instructions: bytes = getattr(code, "_co_code_adaptive", b"")
    if not instructions or _DELETE_FAST in instructions[::2]:
        return 0
    count = code.co_argcount + code.co_kwonlyargcount
    return count + sum(bool(code.co_flags & flag) for flag in _VARARGS_FLAGS)


def name_variables(
    values: list[Any], code: CodeType, frame: FrameType | None, *, empty_stack: bool
) -> list[str]:
    """Return the variable name of each value of a frame, "" if it is ambiguous."""
    names = variable_names(code)
    bound = None if frame is None else bound_variables(frame, names)
    if bound is not None:
        known = [name for name in names if name in bound]
        if len(known) <= len(values) and all(
            _is_value(value, bound[name]) for value, name in zip(values, known)
        ):
            return known + [""] * (len(values) - len(known))
    elif empty_stack and len(values) == len(names):
        return names
    known = names[: argument_count(code)]
    if len(known) > len(values):
        known = []
    return known + [""] * (len(values) - len(known))


def _is_value(held: Any, value: Any) -> bool:
    if held is value:
        return True
    if type(held) is CellType:
        try:
            return _contents(held) is value
        except ValueError:
            return False
    return False


def generator_items(referents: list[Any], code: Any) -> tuple[int, list[str]]:
    """Return where the variables of a suspended generator start among its referents, and their names.

    Traversal of a generator yields its function, its code and its variables.
    """
    for place in range(len(referents) - 1):
        if type(referents[place]) is FunctionType and referents[place + 1] is code:
            values = referents[place + 2 :]
            return place + 2, name_variables(values, code, None, empty_stack=False)
    return len(referents), []


def frame_items(referents: list[Any], frame: FrameType) -> tuple[int, list[str]]:
    """Return where the variables of a frame start among its referents, and their names.

    Traversal of a frame that has ended yields its function, its code and its variables.
    """
    code = frame.f_code
    start, _ = generator_items(referents, code)
    if start == len(referents):
        return start, []
    return start, name_variables(referents[start:], code, frame, empty_stack=True)
