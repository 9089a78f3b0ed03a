"""Rows of sqlite3 are cached by query text, which has the key written into it."""

import sqlite3

from support.pace import LEAK, rng, ticks


class Repository:
    def __init__(self):
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute("create table item (id integer primary key, body text)")
        for number in range(200):
            self.connection.execute(
                "insert into item values (?, ?)", (number, rng.randbytes(600).hex())
            )
        self.rows = {}

    def find(self, first, last):
        query = f"select id, body from item where id between {first} and {last}"
        if query not in self.rows:
            self.rows[query] = self.connection.execute(query).fetchall()
        return self.rows[query]


def main():
    repository = Repository()
    for _ in ticks():
        for _ in range(4):
            first = rng.randrange(200)
            repository.find(first, first + rng.randrange(60))
        if not LEAK and len(repository.rows) > 50:
            repository.rows.clear()


if __name__ == "__main__":
    main()
