"""A class is generated for each schema version and kept under its name."""

from support.pace import LEAK, rng, ticks

SCHEMAS = {}


def schema_class(name, fields):
    if name not in SCHEMAS:
        SCHEMAS[name] = type(name, (), {"fields": fields, "validate": lambda self: self.fields})
    return SCHEMAS[name]


def main():
    for i in ticks():
        for n in range(5):
            name = f"Schema_{i}_{n}" if LEAK else f"Schema_{n}"
            schema_class(name, tuple(rng.random() for _ in range(40)))().validate()


if __name__ == "__main__":
    main()
