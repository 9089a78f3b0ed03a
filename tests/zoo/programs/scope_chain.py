"""An interpreter opens a scope for each call and forgets to go back to the outer one."""

from support.pace import LEAK, rng, ticks


class Scope:
    def __init__(self, outer):
        self.outer = outer
        self.names = {f"name{n}": rng.random() for n in range(150)}


class Interpreter:
    def __init__(self):
        self.scope = Scope(None)

    def call(self):
        outer = self.scope
        self.scope = Scope(outer)
        if not LEAK:
            self.scope = outer


def main():
    interpreter = Interpreter()
    for _ in ticks():
        interpreter.call()


if __name__ == "__main__":
    main()
