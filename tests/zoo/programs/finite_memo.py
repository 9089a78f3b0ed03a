"""Healthy: a memo over 900 postal codes; it has met most of them after half of the run."""

from support.pace import rng, ticks

CODES = [f"{10_000 + 7 * n}" for n in range(900)]
regions = {}


def region(code):
    if code not in regions:
        regions[code] = {"code": code, "shape": [rng.random() for _ in range(20)]}
    return regions[code]


def main():
    for _ in ticks():
        for _ in range(12):
            region(rng.choice(CODES))


if __name__ == "__main__":
    main()
