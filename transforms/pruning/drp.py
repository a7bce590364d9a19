r"""Does what the teacher says of each step: keep, delete, compress, or merge with its neighbours (DRP, arXiv 2505.13975).

The opinions and the rewritten texts are those of `annotate`. A rewrite is taken only if it is shorter and still has every
number and every formula of the original that later steps or the response use; else its steps stay as they were. The
published code does not look: it takes any text that its parser finds.

Actions by likelihood are followed only where they are above keep by more than `min_margin_nats`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.pruning.base import PruneInput, protected
from transforms.types import Action, Decision, Opinion, Rewrite

VERSION = "1"
NEEDS = frozenset({"actions"})

_TERM = re.compile(r"\\\((?P<inline>[^\n]{1,200}?)\\\)|\$(?P<dollar>[^$\n]{1,200})\$|(?P<number>\d[\d,]*(?:\.\d+)?)")


class Config(BaseConfig):
    """`rewrites`: whether steps are compressed and merged; without it they stay as they are."""

    min_margin_nats: float = Field(0.0, ge=0)
    rewrites: bool = True


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """One decision a step, by the teacher's opinions."""
    trace = given.trace
    opinions, rewrites = given.opinions(), given.rewrites() if config.rewrites else ()
    spared = protected(trace)
    actions = [
        "keep" if step in spared else _action(opinion, config.min_margin_nats) for step, opinion in enumerate(opinions)
    ]
    decisions = [
        Decision(step, Action.DELETE if action == "delete" else Action.KEEP, reason, _keep_score(opinion))
        for step, (action, opinion) in enumerate(zip(actions, opinions, strict=True))
        for reason in [spared.get(step) or " ".join(filter(None, [action, opinion.skill and f"({opinion.skill})"]))]
    ]
    texts = [step.text(trace.thinking) for step in trace.steps]
    for rewrite in rewrites:
        part = range(rewrite.first, rewrite.last + 1)
        if all(actions[step] in ("compress", "merge") for step in part):
            later = [texts[step] for step in range(part.stop, len(texts)) if actions[step] != "delete"]
            refused = why_not("".join(texts[part.start : part.stop]), rewrite, [*later, trace.response])
            for step in part:
                decisions[step] = _rewritten(decisions[step], rewrite, refused)
    return decisions


def why_not(original: str, rewrite: Rewrite, later: Sequence[str]) -> str:
    """What is wrong with a rewrite, or "": `later` are the texts that may use what the original has."""
    if len(rewrite.text) >= len(original):
        return "no shorter"
    used = {term for text in later for term in terms(text)}
    lost = [term for term in terms(original) if term in used and term not in terms(rewrite.text)]
    return f"without {lost[0]}" if lost else ""


def terms(text: str) -> list[str]:
    """Numbers, and formulas without their spaces, each once: "\\(x = 5\\) of 1,200" → ["x=5", "5", "1200"]."""
    found: dict[str, None] = {}
    for match in _TERM.finditer(text):
        formula = match["inline"] or match["dollar"]
        if formula:
            found["".join(formula.split())] = None
        for number in re.findall(r"\d[\d,]*(?:\.\d+)?", formula or match["number"]):
            found[number.replace(",", "")] = None
    return list(found)


def _rewritten(decision: Decision, rewrite: Rewrite, refused: str) -> Decision:
    step, reason = decision.step, decision.reason
    if refused:
        return Decision(step, Action.KEEP, f"{reason}: the rewrite is {refused}", decision.score)
    if step == rewrite.first:
        return Decision(step, Action.REWRITE, reason, decision.score, rewrite.text)
    return Decision(step, Action.MERGE, f"{reason}: into step {rewrite.first + 1}", decision.score)


def _action(opinion: Opinion, min_margin_nats: float) -> str:
    """The teacher's; keep where it is not far enough above keep."""
    if (
        opinion.action_scores_nats
        and max(opinion.action_scores_nats) - opinion.action_scores_nats[0] <= min_margin_nats
    ):
        return "keep"
    return opinion.action


def _keep_score(opinion: Opinion) -> float:
    """How much the teacher would keep the step; NaN where it gives no scores."""
    return opinion.action_scores_nats[0] if opinion.action_scores_nats else math.nan
