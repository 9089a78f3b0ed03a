"""ExpectsCollected: a mixin for ``unittest.TestCase``."""

from __future__ import annotations

from typing import Any

from memlens.lifetimes.expectations import Expectations

__all__ = ("ExpectsCollected",)


class ExpectsCollected:
    """Adds ``expect_collected`` to a ``unittest.TestCase``; derive from this class first.

    ``self.expect_collected(obj)`` lets the test fail if the object is alive after the test, its
    ``tearDown`` and the clean-ups that it added.
    """

    def setUp(self) -> None:
        """Add the check as the first clean-up, so that it runs last."""
        self._expectations = Expectations()
        self.addCleanup(self._expectations.assert_collected)  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]

    def expect_collected(self, obj: Any, reason: str = "end of the test") -> None:
        """Expect an object to be collected at the end of the test."""
        self._expectations.expect_collected(obj, 0.0, reason)
