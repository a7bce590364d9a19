"""What every pruning method gets, and how decisions become text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transforms.types import Action, Decision, SegmentedTrace, Step, TraceScores


class PruneInput(NamedTuple):
    """A trace in steps, with its scores where the method asks for them."""

    trace: SegmentedTrace
    scores: TraceScores | None


def joined(thinking: str, steps: Sequence[Step], decisions: Sequence[Decision]) -> str:
    """The kept steps' text, in order, byte for byte."""
    kept = {decision.step for decision in decisions if decision.action == Action.KEEP}
    return "".join(thinking[step.start : step.end] for number, step in enumerate(steps) if number in kept)
