"""Drops a step when the answer is no less likely without it (VARR, arXiv 2412.21006; 2508.20395).

From the first step on, each in turn: with R what is left so far, step s goes if
log p(y | x, R without s) ≥ log p(y | x, R) − tolerance, in nats per token of the answer y. The scorer is asked once for
each step of a trace, one after another, so this is the dearest method.

The last statement of the answer makes it likely whatever goes before it. With `masked: true` both sides are without the
sentences that only state it, as in the re-check; the papers leave them in.
"""

from __future__ import annotations

from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.inference.dialogue import Dialogue, answers_to
from transforms.pruning.base import PruneInput, protected
from transforms.score import answer_request, final_answer, likelihood
from transforms.statements import without_statements
from transforms.types import Action, Decision

VERSION = "1"
NEEDS = frozenset({"scorer"})


class Config(BaseConfig):
    """`tolerance_nats_per_token`: how much less likely each step may make the answer and still go."""

    tolerance_nats_per_token: float = Field(0.0, ge=0)
    masked: bool = False


def dialogue(given: PruneInput, config: Config) -> Dialogue[list[Decision]]:
    """One decision a step; its score is by how much the answer becomes less likely without it."""
    trace = given.trace
    answer, spared = final_answer(trace.response, trace.problem), protected(trace)
    steps = range(len(trace.steps))
    if not answer:
        return [Decision(step, Action.KEEP, "the response states no answer") for step in steps]

    def support(left: list[int]) -> Dialogue[float]:
        text = "".join(trace.steps[step].text(trace.thinking) for step in left)
        if config.masked:
            text = without_statements(text, answer, trace.problem)
        (exchange,) = yield from answers_to([answer_request(trace.prompt, text, answer, trace.problem.answer_kind)])
        return likelihood(exchange).per_token

    left = list(steps)
    now = yield from support(left)
    decisions = []
    for step in steps:
        if step in spared:
            decisions.append(Decision(step, Action.KEEP, spared[step]))
            continue
        fewer = [other for other in left if other != step]
        without = yield from support(fewer)
        fall = now - without
        if fall <= config.tolerance_nats_per_token:
            left, now = fewer, without
            decisions.append(Decision(step, Action.DELETE, "the answer is as likely without it", fall))
        else:
            decisions.append(Decision(step, Action.KEEP, "the answer is less likely without it", fall))
    return decisions
