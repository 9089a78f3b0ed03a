"""A pandas frame that pandas.concat makes longer at each step."""

import pandas as pd
from support.pace import LEAK, rng, ticks


class Ledger:
    def __init__(self):
        self.frame = pd.DataFrame({"id": [], "amount": []})

    def add(self, rows):
        self.frame = pd.concat([self.frame, rows], ignore_index=True)
        if not LEAK:
            self.frame = self.frame.tail(500)


def main():
    ledger = Ledger()
    for i in ticks():
        ledger.add(pd.DataFrame({"id": [i] * 800, "amount": [rng.random()] * 800}))


if __name__ == "__main__":
    main()
