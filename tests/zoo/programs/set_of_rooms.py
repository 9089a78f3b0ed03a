"""Chat rooms are members of a set; each keeps all its messages."""

from support.pace import LEAK, rng, ticks


class Message:
    def __init__(self, text):
        self.text = text


class Room:
    def __init__(self, name):
        self.name = name
        self.messages = []

    def post(self, text):
        self.messages.append(Message(text))
        if not LEAK:
            del self.messages[:-10]


ROOMS = {Room(f"room-{n}") for n in range(60)}


def main():
    for i in ticks():
        for room in ROOMS:
            room.post(f"{room.name} {i} " + "text " * rng.randrange(20, 100))


if __name__ == "__main__":
    main()
