"""Many connections in a list, each with bytes that are read and never consumed."""

from support.pace import LEAK, rng, ticks


class Connection:
    def __init__(self, peer):
        self.peer = peer
        self.buffer = bytearray()

    def receive(self, data):
        self.buffer += data
        if not LEAK and len(self.buffer) > 4000:
            del self.buffer[:4000]


class Server:
    def __init__(self):
        self.connections = [Connection(f"10.0.0.{n}") for n in range(50)]


SERVER = Server()


def main():
    for _ in ticks():
        for connection in SERVER.connections:
            connection.receive(rng.randbytes(rng.randrange(300, 900)))


if __name__ == "__main__":
    main()
