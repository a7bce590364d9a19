"""Scores each step, and the response after the thinking, from one pass of the scorer over both.

    steps "2 + 3 = 5.\\n\\n" | "Check: yes." and response "It is \\boxed{5}."
        → StepScore(first_token_surprisal_nats=1.9, mean…=0.6, sum…=4.2, sum_entropy…=5.0, num_tokens=7), …
          and answer_loglik_nats=-0.1, that of the "5" in the box

A token belongs to the step that holds its first character; a step's first token is the token that holds
its first character that is not white space (ASAP's score, arXiv 2508.05988). The answer's
log-likelihood is the sum over the tokens that hold a character of it, given the question, the thinking
and the words of the response before it: how the response is phrased does not count.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.inference.engine import Failure, ScoreRequest, TokenScores, failed
from transforms.types import Drop, Message, SegmentedTrace, Step, StepScore, TraceScores
from transforms.verify.extract import stated_answer

JOIN = "\n\n"  # between thinking and response in the scored text


class Config(BaseConfig):
    """`model` names the scorer in `models`."""

    model: str = Field("student", min_length=1)


def score_request(prompt: str, thinking: str, response: str) -> ScoreRequest:
    """Asks for all tokens of thinking and response after the prompt."""
    return ScoreRequest((Message("user", prompt),), thinking.strip() + JOIN + response)


def score(trace: SegmentedTrace, response: TokenScores | Failure, model: str) -> Iterator[TraceScores | Drop]:
    """The scores of one trace from the scorer's answer to `score_request`, or a drop with the scorer's reason."""
    if isinstance(response, Failure):
        yield failed(trace.id, "score", response)
        return
    loglik, num_tokens = answer_loglik(trace.thinking, trace.response, trace.problem.answer_kind, response)
    yield TraceScores(
        id=trace.id,
        model=model,
        steps=tuple(score_step(trace.thinking, step, response) for step in trace.steps),
        answer_loglik_nats=loglik,
        num_answer_tokens=num_tokens,
        num_thinking_tokens=num_thinking_tokens(trace.thinking, response),
    )


def score_step(thinking: str, step: Step, tokens: TokenScores) -> StepScore:
    """The scores of the characters `step.start` to `step.end`. A step without tokens has NaN means and 0 sums."""
    first, last = bisect_left(tokens.starts, step.start), bisect_left(tokens.starts, step.end)
    surprisals = [-value for value in tokens.logprobs_nats[first:last]]
    text = thinking[step.start : step.end]
    visible = step.start + len(text) - len(text.lstrip())
    head = bisect_right(tokens.starts, visible) - 1
    while head > 0 and tokens.starts[head - 1] == tokens.starts[head]:
        head -= 1  # a character of several bytes may be several tokens: the first of them
    return StepScore(
        first_token_surprisal_nats=-tokens.logprobs_nats[head] if head >= 0 else math.nan,
        mean_surprisal_nats=sum(surprisals) / len(surprisals) if surprisals else math.nan,
        sum_surprisal_nats=sum(surprisals),
        sum_entropy_nats=sum(tokens.entropies_nats[first:last]),
        num_tokens=last - first,
    )


def answer_loglik(thinking: str, response: str, kind: str, tokens: TokenScores) -> tuple[float, int]:
    """(Sum of the log-probabilities of the final answer's tokens in nats, their number); (0, 0) without an answer."""
    found = stated_answer(response, kind)
    if found is None:
        return 0.0, 0
    offset = len(thinking.strip() + JOIN)
    first = bisect_right(tokens.ends, offset + found.answer_start)
    last = bisect_left(tokens.starts, offset + found.answer_end)
    return sum(tokens.logprobs_nats[first:last]), last - first


def num_thinking_tokens(thinking: str, tokens: TokenScores) -> int:
    """Tokens that start in the thinking."""
    return bisect_left(tokens.starts, len(thinking.strip()))
