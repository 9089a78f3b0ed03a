"""Questions about the processes of a service: one in each file, as SQL and as an answer in words."""

from __future__ import annotations

from memlens.fleet.questions.call_paths import CALL_PATHS
from memlens.fleet.questions.deploy import DEPLOY
from memlens.fleet.questions.growth import GROWTH
from memlens.fleet.questions.limits import LIMITS
from memlens.fleet.questions.new_leaks import NEW_LEAKS
from memlens.fleet.questions.question import Question

__all__ = ("QUESTIONS",)

# In the order of the overview, which asks all.
QUESTIONS: dict[str, Question] = {
    one.name: one for one in (NEW_LEAKS, LIMITS, GROWTH, DEPLOY, CALL_PATHS)
}
