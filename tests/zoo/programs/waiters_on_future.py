"""Coroutines wait on one future that nobody completes; only the future keeps them."""

import asyncio

from support.pace import LEAK, aticks, rng


async def wait_for(config, document):
    await asyncio.wait([config])
    return len(document)


async def main():
    config = asyncio.get_running_loop().create_future()
    if not LEAK:
        config.set_result("ready")
    tasks = asyncio.Queue()
    async for _ in aticks():
        task = asyncio.create_task(wait_for(config, rng.randbytes(12_000)))
        tasks.put_nowait(task)
        await asyncio.sleep(0)
        tasks.get_nowait()


if __name__ == "__main__":
    asyncio.run(main())
