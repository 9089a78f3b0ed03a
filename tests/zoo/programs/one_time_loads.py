"""Healthy: big tables are loaded once each, at different times, and then only used."""

from support.pace import STEPS, rng, ticks

TABLES = {}


def main():
    moments = {int(STEPS * share): f"table-{share}" for share in (0.1, 0.3, 0.45, 0.6)}
    hits = 0
    for i in ticks():
        if i in moments:
            TABLES[moments[i]] = bytearray(10 << 20)
        for table in TABLES.values():
            hits += table[rng.randrange(len(table))]


if __name__ == "__main__":
    main()
