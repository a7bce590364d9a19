"""What judging gives. A module of its own, so that each way of judging may import it."""

from __future__ import annotations

from typing import NamedTuple

from transforms.core.records import Outcome


class Judgement(NamedTuple):
    """A verdict, the rule that gave it, and the reason where there is something to say."""

    outcome: Outcome
    rule: str
    reason: str = ""


def decided(correct: bool, rule: str, reason: str = "") -> Judgement:
    """Correct or incorrect."""
    return Judgement(Outcome.CORRECT if correct else Outcome.INCORRECT, rule, reason)
