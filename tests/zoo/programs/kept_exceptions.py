"""Failures are kept for a report, with their tracebacks and all variables of the frames."""

from support.pace import LEAK, rng, ticks

failures = []


def parse(document):
    body = document * 2
    if rng.random() < 0.9:
        raise ValueError(f"cannot parse {len(body)} bytes")
    return body


def handle(document):
    try:
        return parse(document)
    except ValueError as error:
        failures.append(error if LEAK else str(error))
        return None


def main():
    for _ in ticks():
        handle(rng.randbytes(10_000))
        if not LEAK:
            del failures[:-50]


if __name__ == "__main__":
    main()
