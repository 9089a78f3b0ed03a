"""A trie for auto-completion takes every query that users ever typed."""

from support.pace import LEAK, rng, ticks


class Trie:
    def __init__(self):
        self.root = {}

    def add(self, word):
        node = self.root
        for letter in word:
            node = node.setdefault(letter, {})
        node["end"] = len(word)


trie = Trie()


def main():
    letters = "abcdefghijklmnopqrstuvwxyz"
    for i in ticks():
        for _ in range(8):
            trie.add("".join(rng.choices(letters, k=12)))
        if not LEAK and i % 20 == 0:
            trie.root.clear()


if __name__ == "__main__":
    main()
