"""Idle servers with idle clients have no stuck task; one with a forgotten queue has exactly that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

LEAK = """
import asyncio, memlens
kept = []
async def stuck_forgotten():
    await asyncio.Queue().get()
def check():
    names = [task.name for task in memlens.stuck_tasks()]
    assert names == [], names
    kept.append(asyncio.create_task(stuck_forgotten()))
async def check_again():
    for _ in range(10): await asyncio.sleep(0)
    names = [task.name for task in memlens.stuck_tasks()]
    assert names == ["stuck_forgotten()"], names
    print("right", flush=True)
"""
STREAMS = """
async def main():
    opened = []
    async def serve(reader, writer):
        opened.append(writer)
        await reader.readline()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    readers = [asyncio.create_task(reader.read()) for reader, _ in clients]
    while len(opened) < 3: await asyncio.sleep(0)
    for _ in range(10): await asyncio.sleep(0)
    check(); await check_again()
    for _, writer in clients: writer.close()
    server.close()
asyncio.run(main())
"""
AIOHTTP = """
import aiohttp
from aiohttp import web
async def main():
    async def hello(request): return web.Response(text="hello")
    async def talk(request):
        socket = web.WebSocketResponse(heartbeat=3600)
        await socket.prepare(request)
        async for message in socket: pass
        return socket
    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/talk", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                await response.text()
        socket = await session.ws_connect(f"http://127.0.0.1:{port}/talk")
        listening = asyncio.create_task(socket.receive())
        for _ in range(50): await asyncio.sleep(0.001)
        check(); await check_again()
        listening.cancel()
        await socket.close()
    await runner.cleanup()
asyncio.run(main())
"""
UVICORN = """
import uvicorn
async def app(scope, receive, send):
    if scope["type"] != "http": return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started: await asyncio.sleep(0.001)
    port = server.servers[0].sockets[0].getsockname()[1]
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    clients[0][1].write(b"GET / HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n")
    await clients[0][0].readline()
    check(); await check_again()
    for _, writer in clients: writer.close()
    server.should_exit = True
    await serving
asyncio.run(main())
"""


def run(script):
    done = subprocess.run(
        [sys.executable, "-c", LEAK + script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "right\n"


def test_an_idle_server_of_streams():
    run(STREAMS)


@pytest.mark.slow
def test_an_idle_server_of_aiohttp():
    pytest.importorskip("aiohttp")
    run(AIOHTTP)


@pytest.mark.slow
def test_an_idle_server_of_uvicorn():
    pytest.importorskip("uvicorn")
    run(UVICORN)
