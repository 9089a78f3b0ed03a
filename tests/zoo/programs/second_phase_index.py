"""A script in two phases; the second makes an index that only grows."""

from support.pace import LEAK, rng, ticks


def download(number):
    return [f"document-{number}-{n} " + rng.randbytes(40).hex() for n in range(60)]


def main():
    downloaded = 0
    index = None
    for i in ticks():
        documents = download(i)
        downloaded += len(documents)
        if i < 90:
            continue
        if index is None or (not LEAK and i % 25 == 0):
            index = {}
        for document in documents:
            for word in document.split():
                index.setdefault(word, []).append(i)


if __name__ == "__main__":
    main()
