"""Fifty handlers made by one factory; each keeps its calls in a variable that it closes over."""

from support.pace import LEAK, rng, ticks


class Call:
    def __init__(self, argument):
        self.argument = argument


def make_handler(topic):
    calls = []

    def handle(argument):
        calls.append(Call(argument))
        if not LEAK:
            del calls[:-3]
        return topic, len(calls)

    return handle


HANDLERS = {f"topic-{n}": make_handler(f"topic-{n}") for n in range(50)}


def main():
    for i in ticks():
        for topic, handle in HANDLERS.items():
            handle(f"{topic} {i} " + "y" * rng.randrange(200, 600))


if __name__ == "__main__":
    main()
