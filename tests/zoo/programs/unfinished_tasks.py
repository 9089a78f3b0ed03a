"""A task for each request waits for an event that is never set; a set keeps the tasks."""

import asyncio

from support.pace import LEAK, aticks, rng

background = set()


async def follow_up(body, ready):
    await ready.wait()
    return len(body)


async def main():
    never = asyncio.Event()
    async for _ in aticks():
        ready = never
        if not LEAK:
            ready = asyncio.Event()
            ready.set()
        task = asyncio.create_task(follow_up(rng.randbytes(15_000), ready))
        background.add(task)
        task.add_done_callback(background.discard)
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main())
