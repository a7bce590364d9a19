"""Deletes the steps that the answer does not need, by how likely the scorer finds the answer (nats per token of it).

- `mode: sequential` (VARR, arXiv 2412.21006): from the first step on, each in turn; with R what is left so far, step s goes if
  log p(y | x, R without s) ≥ log p(y | x, R) − tolerance. The scorer is asked once for each step, one after another, so
  this is the dearest of all methods. It has no budget.
- `mode: gain` (after the conditional entropy reduction of 2508.20395): the gain of a step is how much likelier than ever
  before the answer is after it, max(0, log p(y | x, s1 … si) − max over j < i of log p(y | x, s1 … sj)). The lowest gains go first
  until the budget holds. Of steps without a gain those after the last one that has one go first, then the earliest: what
  stays is what led to where the answer became likely. All prefixes of a trace share what they begin with: in paragraphs they
  take about as long as one pass, in sentences as four.

The last statement of the answer makes it likely whatever goes before it, and the first guess does, too. With `masked: true`
the thinking is read without the sentences that only state the answer, as in the re-check; the papers leave them in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Literal

from pydantic import Field, model_validator

from transforms.answers.likelihood import answer_request, likelihood
from transforms.answers.statements import without_statements
from transforms.core.config import refuse_unread
from transforms.core.records import Action, Decision
from transforms.inference.dialogue import Dialogue, answers_to
from transforms.pruning.budget import Budget, Deletion, within_budget
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method
from transforms.pruning.protection import protected
from transforms.steps.joining import of_steps

UNKNOWN = "how likely the answer is could not be measured"


class Config(Budget):
    """`tolerance_nats_per_token`: how much less likely each step may make the answer and still go (sequential).

    `ratio` and `tokens` are the budget of `mode: gain`.
    """

    mode: Literal["sequential", "gain"] = "sequential"
    tolerance_nats_per_token: float = Field(0.0, ge=0)
    masked: bool = False

    @model_validator(mode="after")
    def _all_read(self) -> Config:
        if self.mode == "sequential":
            because = (
                "mode = sequential ends where the answer would be less likely, not at a budget; with mode: gain it is"
            )
            refuse_unread(self, "answer_likelihood", ["ratio", "tokens"], because)
        else:
            because = "mode = gain ends at its budget; with mode: sequential it is"
            refuse_unread(self, "answer_likelihood", ["tolerance_nats_per_token"], because)
        return self

    @property
    def needs(self) -> frozenset[str]:
        """A budget needs the numbers of tokens."""
        return frozenset(["scores"] * (self.mode == "gain"))

    @property
    def has_budget(self) -> bool:
        """Whether there is one to meet."""
        return self.mode == "gain"


def dialogue(given: PruneInput, config: Config) -> Dialogue[list[Decision]]:
    """One decision a step."""
    if not given.trace.answer:
        return [Decision(step, Action.KEEP, "the response states no answer") for step in range(len(given.trace.steps))]
    decided = _sequential(given, config) if config.mode == "sequential" else _by_gain(given, config)
    return (yield from decided)


def _sequential(given: PruneInput, config: Config) -> Dialogue[list[Decision]]:
    """A step's score is by how much the answer becomes less likely without it."""
    spared = protected(given.trace)
    left = list(range(len(given.trace.steps)))
    (now,) = yield from _likelihoods(given, [left], config.masked)
    decisions = []
    for step in range(len(given.trace.steps)):
        if step in spared:
            decisions.append(Decision(step, Action.KEEP, spared[step]))
            continue
        fewer = [other for other in left if other != step]
        (without,) = yield from _likelihoods(given, [fewer], config.masked)
        fall = now - without
        if math.isnan(fall):
            decisions.append(Decision(step, Action.KEEP, UNKNOWN))
        elif fall <= config.tolerance_nats_per_token:
            left, now = fewer, without
            decisions.append(Decision(step, Action.DELETE, "the answer is as likely without it", fall))
        else:
            decisions.append(Decision(step, Action.KEEP, "the answer is less likely without it", fall))
    return decisions


def _by_gain(given: PruneInput, config: Config) -> Dialogue[list[Decision]]:
    """A step's score is its gain."""
    steps = range(len(given.trace.steps))
    found = yield from _likelihoods(given, [range(number) for number in (*steps, len(steps))], config.masked)
    if any(map(math.isnan, found)):
        return [Decision(step, Action.KEEP, UNKNOWN) for step in steps]
    best = list(accumulate(found, max))
    gains = [after - before for before, after in pairwise(best)]
    last = max((step for step in steps if gains[step] > 0), default=-1)
    order = sorted(steps, key=lambda step: (gains[step], step <= last, step if step <= last else -step))
    ranked = [Deletion(step, gains[step]) for step in order]
    decided = within_budget(given, ranked, config.of(given.num_tokens), "the answer is no likelier after it")
    return [
        replace(one, reason="makes the answer likelier by less than others") if _is_weighed(one) else one
        for one in decided
    ]


def _is_weighed(decision: Decision) -> bool:
    """Whether it goes only for the budget."""
    return decision.action == Action.DELETE and decision.score > 0


def _likelihoods(given: PruneInput, versions: Sequence[Sequence[int]], masked: bool) -> Dialogue[list[float]]:
    """Of the answer after some of the steps, for each version, in nats per token."""
    trace, texts, asked = given.trace, given.trace.texts, []
    for steps in versions:
        text = "".join(of_steps(texts, set(steps)))
        text = without_statements(text, trace.answer, trace.problem, trace.thinking) if masked else text
        asked.append(answer_request(trace.prompt, text, trace.answer, trace.problem.answer_kind))
    exchanges = yield from answers_to(asked)
    return [likelihood(exchange).per_token for exchange in exchanges]


METHOD = Method("answer_likelihood", "3", Config, needs=frozenset({"scorer"}), dialogue=dialogue)
