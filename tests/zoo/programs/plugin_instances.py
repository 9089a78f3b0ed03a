"""Each plugin enrols itself in the list of its class; the twin takes itself out on close()."""

from support.pace import LEAK, rng, ticks


class Plugin:
    instances = []

    def __init__(self, name):
        self.name = name
        self.table = rng.randbytes(15_000)
        Plugin.instances.append(self)

    def close(self):
        if not LEAK:
            Plugin.instances.remove(self)


def main():
    for i in ticks():
        plugin = Plugin(f"plugin-{i}")
        plugin.close()


if __name__ == "__main__":
    main()
