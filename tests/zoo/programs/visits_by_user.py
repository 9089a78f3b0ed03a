"""A defaultdict of lists by user: reading a user's visits makes an entry, too."""

import collections

from support.pace import LEAK, rng, ticks


class Visit:
    def __init__(self, page):
        self.page = page
        self.headers = {"agent": f"browser {rng.random()}", "page": page}


visits = collections.defaultdict(list)


def main():
    for i in ticks():
        for n in range(30):
            user = f"user-{i}-{n}"
            visits[user].append(Visit(f"/page/{n}"))
            if not LEAK:
                del visits[user]


if __name__ == "__main__":
    main()
