"""A queue that is local to the server's coroutine fills faster than its worker empties it."""

import asyncio

from support.pace import LEAK, aticks, rng


class Upload:
    def __init__(self, number):
        self.number = number
        self.body = rng.randbytes(10_000)


async def worker(queue):
    size = 0
    while (upload := await queue.get()) is not None:
        size += len(upload.body)
        if LEAK:
            await asyncio.sleep(0.1)
    return size


async def serve():
    queue = asyncio.Queue()
    task = asyncio.create_task(worker(queue))
    async for i in aticks():
        queue.put_nowait(Upload(i))
        queue.put_nowait(Upload(-i))
        await asyncio.sleep(0)
    task.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
