"""A store in the style of Redux: each action makes a new list of notifications, one longer."""

from support.pace import LEAK, rng, ticks


def reduce(state, action):
    kept = state["notifications"]
    if not LEAK:
        kept = kept[-10:]
    return {**state, "notifications": [*kept, action]}


def main():
    state = {"user": "ada", "notifications": []}
    for i in ticks():
        state = reduce(state, {"id": i, "text": rng.randbytes(8_000).hex()})


if __name__ == "__main__":
    main()
