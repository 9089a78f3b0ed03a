"""Healthy: a population that wanders up and down; nobody of it lives for long."""

from support.pace import rng, ticks


class Animal:
    def __init__(self, number):
        self.number = number
        self.genes = [rng.random() for _ in range(12)]


def main():
    population = {}
    number = 0
    for _ in ticks():
        size = len(population)
        for _ in range(rng.randrange(10, 50)):
            population[number] = Animal(number)
            number += 1
        goal = min(900, max(300, size + rng.randrange(-15, 16)))
        while len(population) > goal:
            del population[next(iter(population))]


if __name__ == "__main__":
    main()
