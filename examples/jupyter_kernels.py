"""A Jupyter server: each kernel answers ``%leaks``, and the server itself is profiled.

    python examples/jupyter_kernels.py

starts a server with the settings in jupyter_config, runs cells in a kernel of it, and prints what
``%leaks`` says of them. A kernel is a process of its own: what cells keep is in there, and not in the
server. To use the settings, copy ipython_kernel_config.py to ~/.ipython/profile_default, and
jupyter_server_config.py to ~/.jupyter.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from pathlib import Path

from _server import HERE, Server
from jupyter_client.blocking.client import BlockingKernelClient

CELLS = (
    "%leaks start",
    "frames = []",
    "frames.append([str(number) for number in range(20_000)])",
    "frames.append([str(number) for number in range(20_000)])",
    "frames.append([str(number) for number in range(20_000)])",
    "%leaks",
)
CELL_SECONDS = 120.0


def start_kernel(server: Server) -> str:
    """Start a kernel over the interface of the server; return its id."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/kernels",
        data=b'{"name": "python3"}',
        headers={"Authorization": f"token {server.token}"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=CELL_SECONDS) as answer:
        return str(json.load(answer)["id"])


def run_cells(connection: Path) -> str:
    """Run the cells in a kernel; return what they have printed."""
    printed: list[str] = []
    client = BlockingKernelClient(connection_file=str(connection))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=CELL_SECONDS)

        def note(message: dict[str, dict[str, str]]) -> None:
            content = message["content"]
            printed.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        for cell in CELLS:
            client.execute_interactive(cell, timeout=CELL_SECONDS, output_hook=note)
    finally:
        client.stop_channels()
    return "\n".join(filter(None, printed))


def main() -> None:
    """Run a server, and cells in one of its kernels."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder, "ipython", "profile_default")
        profile.mkdir(parents=True)
        shutil.copy(HERE / "jupyter_config" / "ipython_kernel_config.py", profile)
        runtime = Path(folder, "runtime")
        with Server(
            "jupyter_server",
            "--port={port}",
            "--no-browser",
            "--allow-root",
            folder=f"{folder}/profiles",
            IPYTHONDIR=str(profile.parent),
            JUPYTER_CONFIG_DIR=str(HERE / "jupyter_config"),
            JUPYTER_RUNTIME_DIR=str(runtime),
            JUPYTER_TOKEN="{token}",
        ) as server:
            kernel = start_kernel(server)
            printed = run_cells(runtime / f"kernel-{kernel}.json")
        print(printed)
        of_server = [path.name for path in Path(folder, "profiles").glob("heap-*.memlens")]
        print(f"snapshots of the server itself: {of_server}")
        if "frames" not in printed or not of_server:
            raise SystemExit("the example has failed")


if __name__ == "__main__":
    main()
