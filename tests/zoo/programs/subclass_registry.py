"""A base class enrols each subclass; a rule engine makes subclasses at run time."""

from support.pace import LEAK, rng, ticks


class Rule:
    known = []

    def __init_subclass__(cls, enrol=True, **arguments):
        super().__init_subclass__(**arguments)
        if enrol:
            Rule.known.append(cls)


def compile_rule(number):
    body = {"number": number, "weights": [rng.random() for _ in range(100)]}
    return type(f"Rule{number}", (Rule,), body, enrol=LEAK)


def main():
    for i in ticks():
        for n in range(4):
            compile_rule(4 * i + n)


if __name__ == "__main__":
    main()
