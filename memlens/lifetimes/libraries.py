"""Hooks that expect tasks of asyncio and sessions of SQLAlchemy to be collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memlens._options import check_seconds
from memlens.lifetimes.closing import watch_closed
from memlens.lifetimes.expectations import DEFAULT_SECONDS, OF_PROCESS, Expectations

if TYPE_CHECKING:
    import asyncio

__all__ = ("watch_sqlalchemy_sessions", "watch_tasks")

SESSION_SECONDS = 30.0


def watch_tasks(
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    within: float = DEFAULT_SECONDS,
    expectations: Expectations | None = None,
) -> Callable[[], None]:
    """Expect each task of an event loop to be collected ``within`` seconds after it is done.

    ``loop``: the running one by default. The task factory of the loop is replaced by one that calls
    it. Returns a function that restores it.
    """
    import asyncio

    check_seconds("within", within, 0)
    chosen = asyncio.get_running_loop() if loop is None else loop
    expected = OF_PROCESS if expectations is None else expectations
    before = chosen.get_task_factory()

    def expect(task: Any) -> None:
        expected.expect_collected(task, float(within), "task done")

    def make_task(loop: Any, coroutine: Any, **options: Any) -> Any:
        make = asyncio.Task if before is None else before
        if before is None:
            task: Any = make(coroutine, loop=loop, **options)  # type: ignore[call-arg]
        else:
            task = before(loop, coroutine, **options)
        task.add_done_callback(expect)
        return task

    def restore() -> None:
        if chosen.get_task_factory() is make_task:
            chosen.set_task_factory(before)

    chosen.set_task_factory(make_task)
    return restore


def watch_sqlalchemy_sessions(
    session_class: type | None = None,
    *,
    within: float = SESSION_SECONDS,
    expectations: Expectations | None = None,
) -> None:
    """Expect each session to be collected ``within`` seconds after it is closed.

    ``session_class``: ``sqlalchemy.orm.Session`` by default. A session that begins a new transaction
    after it was closed is in use again, and no longer expected to be collected.
    """
    from sqlalchemy import event  # type: ignore[import-not-found, unused-ignore]
    from sqlalchemy.orm import Session  # type: ignore[import-not-found, unused-ignore]

    chosen = Session if session_class is None else session_class
    expected = OF_PROCESS if expectations is None else expectations
    watch_closed(
        chosen, ("close",), within=within, reason="session closed", expectations=expected
    )  # fmt: skip

    def begin_again(session: Any, transaction: Any) -> None:
        expected.withdraw(session)

    event.listen(chosen, "after_transaction_create", begin_again)
