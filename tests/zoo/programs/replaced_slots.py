"""Healthy: a table of fixed size whose objects are replaced one by one."""

from support.pace import rng, ticks


class Particle:
    def __init__(self, born):
        self.born = born
        self.track = [rng.random() for _ in range(rng.randrange(5, 40))]


class World:
    def __init__(self):
        self.particles = [Particle(0) for _ in range(800)]

    def step(self, now):
        for _ in range(40):
            self.particles[rng.randrange(800)] = Particle(now)


world = World()


def main():
    for i in ticks():
        world.step(i)


if __name__ == "__main__":
    main()
