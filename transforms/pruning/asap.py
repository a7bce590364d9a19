"""ASAP: keeps the core path, then the steps whose first token surprises most (arXiv 2508.05988).

1. Anchor: which steps are on the core reasoning path. `lexical` needs no teacher: the anchor is the response, which solves
   the problem in a few sentences; a step is on the path if some sentence of the anchor shares enough of its numbers and
   words. An anchor on whose path no step is leaves all. `none` leaves this out. (The paper's own, a teacher that names
   the steps of the path, is not there yet.)
2. Surprisal: of what is left, deletes the steps with the lowest −log p(first token | question, steps before), lowest first,
   until the budget holds. The scores are those of one pass over the whole thinking, also for what an anchor left; the
   paper scores what is left (its published code does not: docs/score.md has what else differs).

The paper's budgets are 0.8 of the tokens, or 1,024, 2,048 and 4,096 tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from pydantic import Field

from transforms.pruning.base import Budget, PruneInput, lowest_first, protected, within_budget
from transforms.statements import SENTENCE_END
from transforms.types import Action, Decision

VERSION = "1"
NEEDS = frozenset({"scores"})

_TERM = re.compile(r"\d[\d,]*(?:\.\d+)?|[A-Za-z]{4,}")
_NUMBER_WEIGHT = 3  # of a shared number beside a shared word


class Config(Budget):
    """`anchor`: lexical | none. `min_shared`: the share of an anchor sentence's numbers and words that a step must have."""

    ratio: float = Field(0.8, gt=0, le=1)
    anchor: Literal["lexical", "none"] = "lexical"
    min_shared: float = Field(0.4, gt=0, le=1)


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE what is off the path, and then the least surprising, in order."""
    off = off_path(given, config.min_shared) if config.anchor == "lexical" else set()
    scores = given.step_scores()
    surprisals = [score.first_token_surprisal_nats for score in scores]
    order = [deletion for deletion in lowest_first(surprisals) if deletion.step not in off]
    gone = sum(scores[step].num_tokens for step in off)
    decided = within_budget(given, order, config.of(given.num_tokens) + gone, "its first token surprises little")
    return [
        Decision(number, Action.DELETE, "off the anchor's path", surprisals[number]) if number in off else decision
        for number, decision in enumerate(decided)
    ]


def off_path(given: PruneInput, min_shared: float) -> set[int]:
    """The steps that no sentence of the response needs; none of them if it needs no step at all."""
    trace = given.trace
    anchor = [terms for sentence in SENTENCE_END.split(trace.response) if (terms := _terms(sentence))]
    steps = [_terms(step.text(trace.thinking)) for step in trace.steps]
    on = {
        number
        for number, terms in enumerate(steps)
        if any((terms & sentence).total() >= min_shared * sentence.total() for sentence in anchor)
    }
    return set(range(len(steps))) - on - set(protected(trace)) if on else set()


def _terms(text: str) -> Counter[str]:
    """Weights of the numbers and longer words, without their endings."""
    found = {term.lower()[:6].rstrip(",") for term in _TERM.findall(text)}
    return Counter({term: _NUMBER_WEIGHT if term[0].isdigit() else 1 for term in found})
