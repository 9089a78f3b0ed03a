"""Ask memlens as a coding agent does: the client of the MCP SDK, over stdin and stdout of a server.

    pip install 'memlens[mcp]'
    python examples/ask_as_agent.py [FOLDER]

FOLDER is one of ``python -m memlens run -o FOLDER SCRIPT``. Without it a small program that leaks is
run first.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mcp import Client, StdioServerParameters

LEAKING = """
import time

class Session:
    def __init__(self, user):
        self.user, self.buffer = user, bytearray(10_000)

SESSIONS = {}

def log_in(user):
    SESSIONS[user] = Session(user)

end, user = time.monotonic() + 3, 0
while time.monotonic() < end:
    log_in(user)
    user += 1
    time.sleep(0.005)
"""


def run_a_program_that_leaks(folder: Path) -> Path:
    """Run a program under memlens; return the folder with its snapshots."""
    (folder / "leaking.py").write_text(LEAKING)
    command = [sys.executable, "-m", "memlens", "run", "-o", "out", "--allocations", "leaking.py"]
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return folder / "out"


async def ask(folder: Path) -> None:
    """Print what the tools say about a folder: its files, its suspects, the first one in full."""
    command = ["-m", "memlens", "mcp", str(folder)]
    server = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with Client(server) as client:
        files = await call(client, "list_files")
        print(f"{files['snapshot_count']} snapshots of {files['process_count']} process")
        leaks = await call(client, "find_leaks")
        print(f"{leaks['verdict']}, confidence {leaks['confidence']}")
        for suspect in leaks["suspects"]:
            print(
                f"  {suspect['id']}: {suspect['holder']} +{suspect['retained_growth_bytes']:,} bytes"
            )
        if leaks["suspects"]:
            first = await call(client, "explain_suspect", id=leaks["suspects"][0]["id"])
            print(f"{first['path']}: {first['evidence']}\n{first['suggestion']}")


async def call(client: Client, tool: str, **arguments: object) -> dict:
    """Call a tool and return its answer."""
    result = await client.call_tool(tool, arguments)
    answer = json.loads(result.content[0].text)
    if result.is_error:
        raise SystemExit(answer["error"])
    return answer


def main() -> None:
    """Ask about a folder, or about a program that leaks."""
    if len(sys.argv) > 1:
        asyncio.run(ask(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ask(run_a_program_that_leaks(Path(folder))))


if __name__ == "__main__":
    main()
