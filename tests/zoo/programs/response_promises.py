"""An RPC client keeps the pending future of each call by id; late answers find none."""

import asyncio

from support.pace import LEAK, aticks, rng


class Client:
    def __init__(self):
        self.pending = {}
        self.next_id = 0

    def call(self, document):
        self.next_id += 1
        future = asyncio.get_running_loop().create_future()
        self.pending[self.next_id] = (future, document)
        return self.next_id

    def answer(self, identifier):
        future, _ = self.pending[identifier]
        future.set_result(None)
        if not LEAK:
            del self.pending[identifier]


async def main():
    client = Client()
    async for _ in aticks():
        identifier = client.call(rng.randbytes(15_000))
        client.answer(identifier)


if __name__ == "__main__":
    asyncio.run(main())
