"""A text editor keeps an undo step with the whole old text for each change."""

from support.pace import LEAK, rng, ticks


class Step:
    def __init__(self, description, before):
        self.description = description
        self.before = before


class Document:
    def __init__(self):
        self.text = "lorem ipsum " * 1_500
        self.undo_steps = []

    def replace(self, start, text):
        self.undo_steps.append(Step(f"replace at {start}", self.text))
        self.text = self.text[:start] + text + self.text[start + len(text) :]
        if not LEAK:
            del self.undo_steps[:-20]


def main():
    document = Document()
    for i in ticks():
        document.replace(rng.randrange(10_000), f"edit {i}")


if __name__ == "__main__":
    main()
