"""Forty coroutines of one function, each with a local history that only grows."""

import asyncio

from support.pace import LEAK, aticks, rng


async def session(number, inbox):
    history = []
    while (text := await inbox.get()) is not None:
        history.append((number, text))
        if not LEAK:
            del history[:-5]


async def main():
    inboxes = [asyncio.Queue() for _ in range(40)]
    tasks = [asyncio.create_task(session(n, inbox)) for n, inbox in enumerate(inboxes)]
    async for i in aticks():
        for inbox in inboxes:
            inbox.put_nowait(f"message {i} " + "x" * rng.randrange(300, 700))
        await asyncio.sleep(0)
    for inbox in inboxes:
        inbox.put_nowait(None)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main())
