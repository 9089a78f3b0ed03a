"""An editor keeps a full bytearray for each save, a few in each interval."""

from support.pace import LEAK, STEPS, ticks


class Editor:
    def __init__(self):
        self.saves = {}
        self.canvas = bytearray(10 << 20)

    def paint(self, number):
        self.canvas[number] = number % 256

    def save(self, number):
        if not LEAK:
            self.saves.clear()
        self.saves[f"save-{number}"] = bytearray(self.canvas)


def main():
    editor = Editor()
    for i in ticks():
        editor.paint(i)
        if i % (STEPS // 8) == 20:
            editor.save(i)


if __name__ == "__main__":
    main()
