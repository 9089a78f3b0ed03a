"""Each of many users keeps the whole history of what was ordered."""

from support.pace import LEAK, rng, ticks


class Order:
    def __init__(self, number):
        self.number = number
        self.lines = [rng.randrange(1000) for _ in range(30)]


class User:
    def __init__(self, name):
        self.name = name
        self.history = []


def main():
    users = {f"user-{n}": User(f"user-{n}") for n in range(120)}
    for i in ticks():
        for user in rng.sample(sorted(users), 50):
            users[user].history.append(Order(i))
            if not LEAK:
                del users[user].history[:-5]


if __name__ == "__main__":
    main()
