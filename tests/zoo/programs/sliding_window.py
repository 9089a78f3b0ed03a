"""Healthy: a rate limiter with a window of the last requests of each client."""

from support.pace import rng, ticks


class Hit:
    def __init__(self, moment):
        self.moment = moment


class Limiter:
    def __init__(self, width):
        self.width = width
        self.hits = {f"client-{n}": [] for n in range(30)}

    def allow(self, client, moment):
        hits = self.hits[client]
        hits.append(Hit(moment))
        while hits[0].moment <= moment - self.width:
            del hits[0]
        return len(hits) < 50


limiter = Limiter(40)


def main():
    for i in ticks():
        for client in limiter.hits:
            for _ in range(rng.randrange(4)):
                limiter.allow(client, i)


if __name__ == "__main__":
    main()
