"""A service object made in main(): sessions are opened and never taken out of its dict."""

from support.pace import LEAK, rng, ticks


class Session:
    def __init__(self, user):
        self.user = user
        self.state = {f"field{n}": rng.random() for n in range(150)}


class Service:
    def __init__(self):
        self.sessions = {}
        self.requests = 0

    def login(self, token):
        self.sessions[token] = Session(token)

    def logout(self, token):
        if not LEAK:
            del self.sessions[token]

    def handle(self, token):
        self.requests += len(self.sessions[token].state)


def main():
    service = Service()
    for i in ticks():
        for n in range(3):
            token = f"token-{i}-{n}"
            service.login(token)
            service.handle(token)
            service.logout(token)


if __name__ == "__main__":
    main()
