"""A plain asyncio server: connections with a history each, and a queue that nobody empties."""

import asyncio
import json
import sys

import watching

outbox = asyncio.Queue()


class Connection:
    """One long connection, which remembers what was said."""

    def __init__(self):
        self.history = []

    def answer(self, line):
        kind, _, number = line.partition("/")
        if kind == "history":
            watching.keep(self.history, int(number))
        elif kind == "outbox":
            outbox.put_nowait(watching.Record(int(number)))
            if watching.IS_HEALTHY:
                outbox.get_nowait()
        elif kind == "report":
            return json.dumps(watching.report())
        return "{}"


async def serve(reader, writer):
    connection = Connection()
    while line := await reader.readline():
        writer.write(connection.answer(line.decode().strip()).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(port):
    watching.start()
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
