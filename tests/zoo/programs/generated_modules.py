"""Each script of a user is loaded as a module under a new name in sys.modules."""

import sys
import types

from support.pace import LEAK, rng, ticks

SOURCE = "LIMIT = {limit}\ndef run(x):\n    return x % LIMIT\n"


def load(name, limit):
    module = types.ModuleType(name)
    exec(SOURCE.format(limit=limit), module.__dict__)
    module.table = [rng.random() for _ in range(400)]
    sys.modules[name] = module
    return module


def main():
    for i in ticks():
        name = f"user_script_{i}" if LEAK else "user_script"
        load(name, i + 1).run(i)


if __name__ == "__main__":
    main()
