"""A defaultdict of lists with a fixed number of users: the lists grow, the dict does not."""

import collections

from support.pace import LEAK, rng, ticks


class Visit:
    def __init__(self, page):
        self.page = page
        self.headers = {"agent": f"browser {rng.random()}", "page": page}


class Statistics:
    def __init__(self):
        self.by_user = collections.defaultdict(list)

    def visit(self, user, page):
        self.by_user[user].append(Visit(page))
        if not LEAK:
            del self.by_user[user][:-4]


statistics = Statistics()


def main():
    for i in ticks():
        for _ in range(40):
            statistics.visit(f"user-{rng.randrange(50)}", f"/page/{i}")


if __name__ == "__main__":
    main()
