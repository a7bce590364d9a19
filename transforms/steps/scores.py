"""From a model's scores of tokens to scores of steps."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from transforms.core.records import Step, StepScore
from transforms.inference.requests import TokenScores


def score_step(thinking: str, step: Step, tokens: TokenScores) -> StepScore:
    """The scores of the characters `step.start` to `step.end`. What was not asked for, or has no tokens, is NaN."""
    first, last = bisect_left(tokens.starts, step.start), bisect_left(tokens.starts, step.end)
    surprisals = [math.nan if value is None else -value for value in tokens.logprobs_nats[first:last]]
    visible = first_visible(thinking, step)
    heads = tokens.held(visible, visible + 1)  # a character of several bytes may be several tokens: the first of them
    head = tokens.logprobs_nats[heads[0]] if heads else None
    lower = _sum(tokens.entropies_nats[first:last])
    return StepScore(
        first_token_surprisal_nats=math.nan if head is None else -head,
        mean_surprisal_nats=math.fsum(surprisals) / len(surprisals) if surprisals else math.nan,
        sum_surprisal_nats=math.fsum(surprisals),
        sum_entropy_nats=lower,
        sum_entropy_upper_nats=_sum(tokens.entropies_upper_nats[first:last]) if tokens.entropies_upper_nats else lower,
        num_tokens=last - first,
    )


def _sum(values: Sequence[float | None]) -> float:
    return math.fsum(math.nan if value is None else value for value in values)


def first_visible(thinking: str, step: Step) -> int:
    """The step's first character that is not white space."""
    text = step.text(thinking)
    return step.start + len(text) - len(text.lstrip())
