"""ProfileDelivery: send one profile, again where that can help, and count what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from memlens._log import FailureLog
from memlens._text import printable
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.formats.otlp_profiles import SpanLink
from memlens.integrations.sending.http_post import Answer, HttpPoster, PostError, shown_url
from memlens.integrations.sending.profile_requests import Requests, TooLargeError

__all__ = ("DeliveryError", "ProfileDelivery")

_RETRYABLE = (429, 502, 503, 504)
_FIRST_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 30.0
_MAX_RETRY_AFTER_SECONDS = 3600.0


class ProfileDelivery:
    """Sends profiles to one receiver. Used by one thread.

    ``wait_until`` waits until a moment of ``clock`` and returns False if the thread must end before.
    ``not_before`` is the moment until which the receiver does not want anything more.
    """

    def __init__(
        self,
        requests: Requests,
        poster: HttpPoster,
        clock: Callable[[], float],
        wait_until: Callable[[float], bool],
    ) -> None:
        self._requests = requests
        self._poster = poster
        self._clock = clock
        self._wait_until = wait_until
        self.failures = FailureLog()
        self.forget()

    def forget(self) -> None:
        """Set the initial state, as in a forked child."""
        self.not_before = 0.0
        self.sent = self.rejected = self.dropped = self.retries = 0
        self.failures.clear()

    def health(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "sent": self.sent,
            "rejected": self.rejected,
            "dropped": self.dropped,
            "retries": self.retries,
            "failures": self.failures.count,
            "last_error": self.failures.last_error,
        }

    def send(self, profile: AllocationProfile, link: SpanLink | None, deadline: float) -> bool:
        """Send a profile, if need be several times before ``deadline``, a moment of the clock.

        Returns whether it is done with: it has arrived, or the receiver will never accept it.
        """
        try:
            request = self._requests.request(profile, link)
        except TooLargeError as error:
            return self._drop(str(error))
        attempt = 0
        while True:
            pause = _backoff_seconds(attempt)
            try:
                answer = self._poster.post(request.url, request.body, request.headers)
            except PostError as error:
                problem = str(error)
            else:
                if answer.status not in _RETRYABLE:
                    return self._finish(answer)
                problem = f"status {answer.status}"
                if answer.retry_after_seconds is not None:
                    pause = min(answer.retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
            self.not_before = self._clock() + pause
            if self.not_before >= deadline or not self._wait_until(self.not_before):
                self._note(problem)
                return False
            attempt += 1
            self.retries += 1

    def _finish(self, answer: Answer) -> bool:
        if not 200 <= answer.status < 300:
            hint = ": redirects are not followed" if 300 <= answer.status < 400 else ""
            return self._drop(f"status {answer.status}{hint}")
        complaint = self._requests.complaint(answer.body)
        if complaint is None:
            self.sent += 1
        else:
            self.rejected += 1
            self._note(complaint)
        return True

    def _drop(self, problem: str) -> bool:
        self.dropped += 1
        self._note(problem)
        return True

    def _note(self, problem: str) -> None:
        what = f"a profile was not accepted by {shown_url(self._requests.url)}"
        error = DeliveryError(printable(problem))  # a server may have written it
        self.failures.note(what, error, with_traceback=False)


class DeliveryError(Exception):
    """Why a profile was not sent, for the log."""


def _backoff_seconds(attempt: int) -> float:
    longest = min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(attempt, 10))
    return longest * random.uniform(0.5, 1.0)
