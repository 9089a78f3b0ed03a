"""A set of permissions without mutation: each grant makes a larger frozenset."""

from support.pace import LEAK, rng, ticks


class Policy:
    granted = frozenset()


def grant(names):
    Policy.granted = (Policy.granted if LEAK else frozenset()) | names


def main():
    for i in ticks():
        grant(frozenset(f"user-{i}:{rng.getrandbits(80):x}" for _ in range(120)))


if __name__ == "__main__":
    main()
