"""call_later with a far delay for each request: the event loop keeps what it will call."""

import asyncio

from support.pace import LEAK, aticks, rng


class Lease:
    def __init__(self, number):
        self.number = number
        self.data = rng.randbytes(15_000)

    def expire(self):
        self.data = b""


async def main():
    loop = asyncio.get_running_loop()
    async for i in aticks():
        lease = Lease(i)
        handle = loop.call_later(3600, lease.expire)
        if not LEAK:
            handle.cancel()


if __name__ == "__main__":
    asyncio.run(main())
