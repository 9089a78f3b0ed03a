"""A renderer made by a factory: its closure keeps a memo without a bound."""

from support.pace import LEAK, rng, ticks


def make_renderer(prefix):
    memo = {}

    def render(key):
        if key not in memo:
            if not LEAK and len(memo) >= 50:
                memo.clear()
            memo[key] = [prefix, key, rng.randbytes(18_000)]
        return memo[key]

    return render


def main():
    render = make_renderer("news")
    for i in ticks():
        render(("article", i))
        render(("article", rng.randrange(i + 1)))


if __name__ == "__main__":
    main()
