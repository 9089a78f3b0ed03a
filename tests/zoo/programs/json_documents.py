"""A crawler keeps every decoded JSON document, though it needs one number of each."""

import json

from support.pace import LEAK, rng, ticks

documents = []


def fetch(number):
    items = [{"id": n, "price": rng.random(), "name": f"item {n}"} for n in range(60)]
    return json.dumps({"page": number, "items": items})


def main():
    total = 0.0
    for i in ticks():
        document = json.loads(fetch(i))
        documents.append(document)
        total += document["items"][0]["price"]
        if not LEAK:
            documents.clear()


if __name__ == "__main__":
    main()
