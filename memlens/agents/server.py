"""The MCP server: offers the tools over stdin and stdout to one client. Needs the extra ``mcp``.

Each call runs in a worker thread, one after another, so the event loop answers meanwhile. A client
that asks for progress gets it, and one that cancels a call ends the analysis at its next step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as OfferedTool

from memlens import __version__
from memlens.agents.tools import call, tools_for
from memlens.agents.workspace import Workspace
from memlens.progress import following

__all__ = ("make_server", "serve")

_PROGRESS_SECONDS = 0.5
_INSTRUCTIONS = (
    "Memory of Python programs, from files of the profiler memlens. Begin with list_files, then"
    " find_leaks for what grows over snapshots of a process, and explain_suspect for the path, the"
    " evidence and the fix. Numbers have their unit in their name. Answers are JSON of at most"
    " max_tokens tokens; pass next_cursor as cursor for the next page. To get files, run the program"
    " with: python -m memlens run -o FOLDER --allocations SCRIPT"
)


def make_server(workspace: Workspace) -> Server[Any]:
    """Return a server of the SDK that offers the tools over a workspace."""
    turn = anyio.CapacityLimiter(1)

    async def list_tools(
        context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=_offered(workspace))

    async def call_tool(
        context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        report = _reporter(context)

        def work() -> tuple[str, bool]:
            with following(report):
                return call(workspace, params.name, params.arguments)

        text, is_error = await anyio.to_thread.run_sync(work, limiter=turn)
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)

    return Server(
        "memlens",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve(workspace: Workspace) -> None:
    """Serve a client over stdin and stdout until it closes them."""
    anyio.run(_serve, workspace)


async def _serve(workspace: Workspace) -> None:
    server = make_server(workspace)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _offered(workspace: Workspace) -> list[OfferedTool]:
    return [
        OfferedTool(
            name=tool.name,
            description=tool.purpose,
            input_schema=tool.schema,
            annotations=ToolAnnotations(
                read_only_hint=tool.reads_only, destructive_hint=False, open_world_hint=False
            ),
        )
        for tool in tools_for(workspace).values()
    ]


def _reporter(context: ServerRequestContext[Any]) -> Callable[[float], None]:
    """Return what the analysis calls in its thread with the share that is done.

    It raises the exception of the event loop for a cancelled task where the client has cancelled.
    """
    next_seconds, reported = time.monotonic() + _PROGRESS_SECONDS, 0.0

    def reach(share: float) -> None:
        nonlocal next_seconds, reported
        anyio.from_thread.check_cancelled()
        if share > reported and time.monotonic() >= next_seconds:  # progress must not fall
            next_seconds, reported = time.monotonic() + _PROGRESS_SECONDS, share
            anyio.from_thread.run(context.session.report_progress, share, 1.0)

    return reach
