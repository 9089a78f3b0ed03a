"""Healthy: about 300 sessions at any time (302, 311, 292, 293), each for a short while."""

from support.pace import rng, ticks


class Session:
    def __init__(self, token):
        self.token = token
        self.data = {f"key{n}": rng.random() for n in range(20)}


class Server:
    def __init__(self):
        self.sessions = {}

    def work(self, number):
        for n in range(20):
            token = f"{number}-{n}-{rng.getrandbits(32):x}"
            self.sessions[token] = Session(token)
        keep = rng.randrange(285, 315)
        for token in rng.sample(sorted(self.sessions), max(0, len(self.sessions) - keep)):
            del self.sessions[token]


server = Server()


def main():
    for i in ticks():
        server.work(i)


if __name__ == "__main__":
    main()
