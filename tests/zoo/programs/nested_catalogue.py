"""A dict of dicts of lists: country, city, then every measurement."""

from support.pace import LEAK, rng, ticks

CITIES = {"fr": ["paris", "lyon"], "de": ["berlin", "bonn"], "it": ["rome", "milan", "turin"]}


class Measurement:
    def __init__(self, number):
        self.number = number
        self.values = [rng.random() for _ in range(20)]


def main():
    catalogue = {country: {city: [] for city in cities} for country, cities in CITIES.items()}
    for i in ticks():
        for cities in catalogue.values():
            for measurements in cities.values():
                measurements.append(Measurement(i))
                measurements.append(Measurement(-i))
                if not LEAK:
                    del measurements[:-5]


if __name__ == "__main__":
    main()
