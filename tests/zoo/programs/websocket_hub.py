"""A hub keeps an outbox per subscriber; clients that went away still receive."""

import asyncio

from support.pace import LEAK, aticks, rng


class Hub:
    def __init__(self):
        self.outboxes = {}

    def join(self, name):
        self.outboxes[name] = asyncio.Queue()

    def leave(self, name):
        if not LEAK:
            self.outboxes.pop(name, None)

    def publish(self, message):
        for outbox in self.outboxes.values():
            outbox.put_nowait(message)


async def client(hub, name):
    hub.join(name)
    outbox = hub.outboxes[name]
    for _ in range(3):
        await outbox.get()
    hub.leave(name)


async def main():
    hub = Hub()
    clients = set()
    async for i in aticks():
        if i % 8 == 0:
            task = asyncio.create_task(client(hub, f"client-{i}"))
            clients.add(task)
            task.add_done_callback(clients.discard)
        hub.publish(("update", i, rng.randbytes(15_000)))
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main())
