"""Healthy: plugins with typing.overload are loaded one by one until all ten are there."""

import types

from support.pace import rng, ticks

SOURCE = """
import typing

@typing.overload
def convert(value: int) -> str: ...
@typing.overload
def convert(value: str) -> int: ...
def convert(value):
    return int(value) if isinstance(value, str) else str(value)

Pair = typing.Tuple[int, "str"]
class Box(typing.Generic[typing.TypeVar("T")]):
    pass
"""


def main():
    plugins = []
    for i in ticks():
        if i % 25 == 0 and len(plugins) < 10:
            module = types.ModuleType(f"plugin_{i}")
            exec(SOURCE, module.__dict__)
            plugins.append(module)
        rng.choice(plugins).convert(i)


if __name__ == "__main__":
    main()
