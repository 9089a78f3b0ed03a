"""Patterns: what kind of leak a growing holder is, and what to do about it.

Each rule looks at one case and answers with a pattern, its evidence and a suggestion, or not at
all. The first rule that answers wins: the most telling come first.
"""

from __future__ import annotations

from memlens.leaks.patterns.case import Case, Diagnosis
from memlens.leaks.patterns.recognise import recognise

__all__ = ("Case", "Diagnosis", "recognise")
