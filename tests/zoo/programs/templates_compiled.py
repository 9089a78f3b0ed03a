"""Healthy: forty templates are compiled when they are first used, over half of the run."""

from support.pace import STEPS, rng, ticks


class Environment:
    def __init__(self):
        self.compiled = {}

    def get(self, name):
        if name not in self.compiled:
            lines = "".join(f"part_{n} = {rng.random()}\n" for n in range(100))
            self.compiled[name] = compile(lines, name, "exec")
        return self.compiled[name]


environment = Environment()


def main():
    for i in ticks():
        known = min(40, 1 + 80 * i // STEPS)
        environment.get(f"page_{rng.randrange(known)}.html")


if __name__ == "__main__":
    main()
