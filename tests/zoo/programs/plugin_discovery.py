"""Healthy: a program finds its twelve plugins as files and imports one every now and then."""

import importlib.util
import pathlib
import sys
import tempfile

from support.pace import STEPS, rng, ticks

SOURCE = """
import dataclasses, enum

class Level(enum.Enum):
    LOW = 1
    HIGH = 2

@dataclasses.dataclass
class Options:
    level: Level = Level.LOW
    names: list = dataclasses.field(default_factory=list)
"""


def load(folder, name):
    path = pathlib.Path(folder, f"{name}.py")
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    plugins = {}
    with tempfile.TemporaryDirectory() as folder:
        for i in ticks():
            number = min(11, 12 * i // (STEPS * 3 // 4))
            if number not in plugins:
                plugins[number] = load(folder, f"zoo_plugin_{number}")
            rng.choice(list(plugins.values())).Options()


if __name__ == "__main__":
    main()
