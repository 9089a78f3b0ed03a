"""A small web shop with a leak: the program that ``python -m memlens demo`` examines.

It serves requests from a bounded cache of pages, keeps a log of the latest requests, and has one
bug, which memlens finds.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache


class Session:
    """The data that the shop keeps for one visitor."""

    def __init__(self, visitor: str) -> None:
        self.visitor = visitor
        self.basket = [f"{visitor}: article {number}" for number in range(4)]
        self.page = bytearray(2_000)


class SessionStore:
    """All sessions, by visitor."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def open(self, visitor: str) -> Session:
        """Return the visitor's session."""
        session = self._sessions.get(visitor)
        if session is None:
            session = self._sessions[visitor] = Session(visitor)  # the planted leak: never removed
        return session


store = SessionStore()
recent: deque[str] = deque(maxlen=200)  # bounded: not a leak


@lru_cache(maxsize=128)  # bounded: not a leak
def render(article: int) -> str:
    """Return the page of an article."""
    return f"<h1>Article {article}</h1>" * 20


def handle(number: int) -> int:
    """Serve one request; return the size of the response."""
    session = store.open(f"visitor-{number}")
    response = render(number % 500) + session.basket[0]
    recent.append(response[:40])
    return len(response)
