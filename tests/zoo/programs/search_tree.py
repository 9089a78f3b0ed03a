"""A binary search tree with a node for every key that was ever looked up."""

from support.pace import LEAK, rng, ticks


class Node:
    def __init__(self, key):
        self.key = key
        self.left = None
        self.right = None
        self.payload = [key] * 60


class Tree:
    def __init__(self):
        self.root = Node(0.5)

    def insert(self, key):
        node = self.root
        while True:
            side = "left" if key < node.key else "right"
            below = getattr(node, side)
            if below is None:
                setattr(node, side, Node(key))
                return
            node = below


TREE = Tree()


def main():
    for i in ticks():
        for _ in range(25):
            TREE.insert(rng.random())
        if not LEAK and i % 10 == 0:
            TREE.root = Node(0.5)


if __name__ == "__main__":
    main()
