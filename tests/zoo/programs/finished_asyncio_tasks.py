"""The server's coroutine keeps each task in a local list to await them all at the end."""

import asyncio

from support.pace import LEAK, aticks, rng


async def handle(number):
    await asyncio.sleep(0)
    return number, rng.randbytes(12_000)


async def serve():
    tasks = []
    async for i in aticks():
        tasks.append(asyncio.create_task(handle(i)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not LEAK:
            tasks = [task for task in tasks if not task.done()]
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(serve())
