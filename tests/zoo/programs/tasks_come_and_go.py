"""Healthy: a few dozen tasks at any time, in a set that drops each when it is done."""

import asyncio

from support.pace import aticks, rng

background = set()


async def job(number, rounds):
    log = []
    for n in range(rounds):
        log.append((number, n, rng.random()))
        await asyncio.sleep(0)
    return len(log)


async def main():
    async for i in aticks():
        for _ in range(3):
            task = asyncio.create_task(job(i, rng.randrange(5, 60)))
            background.add(task)
            task.add_done_callback(background.discard)


if __name__ == "__main__":
    asyncio.run(main())
