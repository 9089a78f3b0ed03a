"""A data job: the function that runs it keeps every rejected row in a local list."""

import csv
import io

from support.pace import LEAK, rng, ticks


def read_batch(number):
    lines = [f"{number},{rng.randrange(1000)},{rng.choice(['ok', 'bad'])}" for _ in range(120)]
    return csv.DictReader(io.StringIO("id,amount,state\n" + "\n".join(lines)))


def run_job():
    rejected = []
    total = 0
    for i in ticks():
        for row in read_batch(i):
            if row["state"] == "ok":
                total += int(row["amount"])
            else:
                rejected.append(row)
        if not LEAK:
            rejected = rejected[-100:]
    return total, len(rejected)


if __name__ == "__main__":
    run_job()
