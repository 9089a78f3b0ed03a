"""A coroutine keeps every message that it could not deliver in a local list."""

import asyncio

from support.pace import LEAK, aticks, rng


class Message:
    def __init__(self, number):
        self.number = number
        self.body = rng.randbytes(20_000)


async def deliver(message):
    await asyncio.sleep(0)
    return message.number % 5 == 0


async def courier(inbox):
    undelivered = []
    while (message := await inbox.get()) is not None:
        if not await deliver(message):
            undelivered.append(message)
        if not LEAK and len(undelivered) > 20:
            undelivered.clear()
    return len(undelivered)


async def main():
    inbox = asyncio.Queue(maxsize=4)
    task = asyncio.create_task(courier(inbox))
    async for i in aticks():
        await inbox.put(Message(i))
    await inbox.put(None)
    await task


if __name__ == "__main__":
    asyncio.run(main())
