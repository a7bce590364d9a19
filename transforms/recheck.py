"""Checks a pruned trace again: does it still give the right answer, and is the answer still likely?

(a) The example as training will see it, `<think>pruned</think>response`, is parsed and verified: against the
    problem's reference, or where it has none against the answer of the original.
(b) log p(answer | question, pruned) ≥ log p(answer | question, thinking) − max_loss, in nats per token
    of the answer (`transforms.score`). Steps of the thinking that only state the answer are not masked
    yet, so a thinking that keeps such a step passes easily.

A trace that fails gets its original thinking back and is marked `rolled_back`; one whose original does
not verify either is marked `original_fails`, and is not hidden. The measure asked of the model does not
depend on the threshold, so another threshold asks it nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from typing import cast

from pydantic import Field

from transforms import verify
from transforms.configuration import Config as BaseConfig
from transforms.inference.engine import Exchange, ScoreRequest, TokenScores, failed, first_failure, turn
from transforms.score import UNKNOWN, answer_request, final_answer, likelihood
from transforms.traces import Unparsable, split_thinking
from transforms.types import Drop, Outcome, PrunedTrace, RecheckedTrace
from transforms.verify import checkable, judge_response


class Config(BaseConfig):
    """`max_loss_nats_per_token`: how much less likely, on average over its tokens, the answer may become."""

    model: str = Field("student", min_length=1)
    max_loss_nats_per_token: float = Field(0.1, ge=0)


JUDGING = verify.Config()


def requests(trace: PrunedTrace) -> list[ScoreRequest]:
    """Original and pruned thinking, and, if the response states an answer, the answer after each."""
    texts, kind = (trace.thinking, trace.pruned), trace.problem.answer_kind
    answer = final_answer(trace.response, trace.problem)
    answers = [answer_request(trace.prompt, text, answer, kind) for text in texts] if answer else []
    return [*(turn(trace.prompt, text) for text in texts), *answers]


def recheck(
    trace: PrunedTrace, exchanges: list[Exchange], config: Config, judging: verify.Config = JUDGING
) -> Iterator[RecheckedTrace | Drop]:
    """The trace with what goes on (`final`), or a drop if the scorer could not read it. `judging` is how it is verified."""
    if failure := first_failure(exchanges):
        yield failed(trace.id, "recheck", failure)
        return
    before, after = (cast("TokenScores", exchange.response) for exchange in exchanges[:2])
    answers = [likelihood(exchange) for exchange in exchanges[2:]] or [UNKNOWN, UNKNOWN]
    loglik_before, loglik_after = (answer.per_token for answer in answers)
    num_before, num_pruned = len(before.starts), len(after.starts)
    outcome = outcome_of(trace, judging)
    status, reason = "passed", ""
    if outcome != Outcome.CORRECT:
        status, reason = "original_fails", "the original's answer is not correct"
    elif not intact(trace.pruned, trace.response):
        status, reason = "rolled_back", "the pruned trace does not parse as training would see it"
    elif loglik_after < loglik_before - config.max_loss_nats_per_token:
        status, reason = "rolled_back", "the answer became too unlikely"
    carried = {field.name: getattr(trace, field.name) for field in fields(trace)}
    yield RecheckedTrace(
        **carried,
        final=trace.pruned if status == "passed" else trace.thinking,
        status=status,
        reason=reason,
        outcome=outcome,
        answer_loglik_before_nats_per_token=loglik_before,
        answer_loglik_after_nats_per_token=loglik_after,
        num_tokens_before=num_before,
        num_tokens_pruned=num_pruned,
        num_tokens_after=num_pruned if status == "passed" else num_before,
        mean_logprob_after_nats_per_token=_mean_logprob(after if status == "passed" else before),
    )


def outcome_of(trace: PrunedTrace, judging: verify.Config) -> Outcome:
    """The verdict on the original as training would see it. The pruned trace shares its response, and so its verdict."""
    if not intact(trace.thinking, trace.response):
        return Outcome.UNDECIDED
    response = trace.response.strip()
    return judge_response(response, checkable(trace.problem, response), judging)[1].outcome


def intact(thinking: str, response: str) -> bool:
    """Whether thinking and response in tags are told apart again; else a trainer's template would cut them elsewhere."""
    parts = split_thinking(f"<think>\n{thinking.strip()}\n</think>\n\n{response}", "tags")
    return not isinstance(parts, Unparsable) and parts == (thinking.strip(), response.strip())


def _mean_logprob(scores: TokenScores) -> float:
    """Of all tokens of the thinking, in nats per token; NaN without tokens."""
    known = [value for value in scores.logprobs_nats if value is not None]
    return math.fsum(known) / len(known) if known else math.nan
