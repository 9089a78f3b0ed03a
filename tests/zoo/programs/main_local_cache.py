"""A script whose main() keeps each rendered page in a local dict; the twin keeps the last few."""

from support.pace import LEAK, rng, ticks


class Page:
    def __init__(self, url, body):
        self.url = url
        self.body = body


def render(url):
    return Page(url, rng.randbytes(rng.randrange(16_000, 24_000)))


def main():
    cache = {}
    for i in ticks():
        url = f"/articles/{i}"
        if url not in cache:
            cache[url] = render(url)
        if not LEAK and len(cache) > 20:
            cache.pop(next(iter(cache)))


if __name__ == "__main__":
    main()
