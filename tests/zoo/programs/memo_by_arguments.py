"""A hand-written memo decorator keyed by all arguments, in a module-level dict."""

from support.pace import LEAK, rng, ticks

memo = {}


def memoised(function):
    def wrapper(*arguments):
        if not LEAK and len(memo) > 100:
            memo.clear()
        if arguments not in memo:
            memo[arguments] = function(*arguments)
        return memo[arguments]

    return wrapper


@memoised
def distance(start, end):
    return [start, end, *(rng.random() for _ in range(20))]


def main():
    for i in ticks():
        for _ in range(25):
            distance((i, rng.randrange(10_000)), (rng.randrange(10_000), i))


if __name__ == "__main__":
    main()
