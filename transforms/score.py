r"""Scores each step of the thinking, and how likely the final answer is after it, by plain passes of the scorer.

    steps "2 + 3 = 5.\n\n" | "Check: yes." and the answer "5"
        → StepScore(first_token_surprisal_nats=1.9, mean…=0.6, sum…=4.2, sum_entropy…=5.0, num_tokens=7), …
          and answer_loglik_nats=-0.1, that of the "5" in "The final answer is \boxed{5}."

The thinking is tokenized once, as a whole. A token belongs to the step that holds its first character; a step's first
token is the one that holds its first character that is not white space (ASAP's score, arXiv 2508.05988). Surprisal is
−log p(token | question, all tokens before), entropy that of p. The answer is the one that the response states; its
log-likelihood is the sum over the tokens that hold a character of it, after question, thinking and the same few words
for all traces: log p(y | x, R) of METHODS's papers, without what else the response says. `likelihoods` asks for it after
each prefix of the steps, or with each step left out, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, cast

from pydantic import Field

from transforms.answers.likelihood import UNKNOWN, answer_request, likelihood
from transforms.core.config import Config as BaseConfig
from transforms.core.drops import Drop
from transforms.core.records import SegmentedTrace, TraceScores
from transforms.inference.dialogue import Dialogue, answers_to, or_drop
from transforms.inference.requests import ScoreRequest, TokenScores, turn
from transforms.steps.scores import first_visible, score_step


class Config(BaseConfig):
    """`model` names the scorer in `models`.

    `tokens: first` scores only each step's first token, in less time: no means, sums and entropies.
    `likelihoods` holds what is asked of the answer beside the whole thinking: prefixes, left_out.
    """

    model: str = Field("student", min_length=1)
    tokens: Literal["all", "first"] = "all"
    likelihoods: tuple[Literal["prefixes", "left_out"], ...] = Field((), strict=False)


def requests(trace: SegmentedTrace, config: Config) -> list[ScoreRequest]:
    """The thinking; the answer after it; and as `config.likelihoods` says, after each prefix and without each step."""
    thinking, spans = trace.thinking, None
    if config.tokens == "first":
        spans = tuple((place, place + 1) for place in (first_visible(thinking, step) for step in trace.steps))
        spans = ((0, spans[0][1]), *spans[1:])  # with the white space before, so that all tokens are counted
    asked = [replace(turn(trace.prompt, thinking), spans=spans)]
    if not trace.answer:
        return asked
    contexts = [thinking]
    if "prefixes" in config.likelihoods:
        contexts += [thinking[: step.start] for step in trace.steps]
    if "left_out" in config.likelihoods:
        contexts += [thinking[: step.start] + thinking[step.end :] for step in trace.steps]
    kind = trace.problem.answer_kind
    return asked + [answer_request(trace.prompt, context, trace.answer, kind) for context in contexts]


def dialogue(trace: SegmentedTrace, config: Config, model: str) -> Dialogue[TraceScores | Drop]:
    """The scores of one trace from the scorer's answers to `requests`, or a drop with the scorer's reason."""
    return or_drop(_scored(trace, config, model), trace.id, "score")


def _scored(trace: SegmentedTrace, config: Config, model: str) -> Dialogue[TraceScores]:
    exchanges = yield from answers_to(requests(trace, config))
    tokens = cast("TokenScores", exchanges[0].response)
    answers = [likelihood(exchange) for exchange in exchanges[1:]]
    whole = answers[0] if answers else UNKNOWN
    others = [answer.sum_nats for answer in answers[1:]]
    num_steps = len(trace.steps)
    num_prefixes = num_steps if "prefixes" in config.likelihoods and others else 0
    return TraceScores(
        id=trace.id,
        model=model,
        steps=tuple(score_step(trace.thinking, step, tokens) for step in trace.steps),
        entropy="none" if config.tokens == "first" else "bounds" if tokens.entropies_upper_nats else "exact",
        answer_loglik_nats=whole.sum_nats,
        num_answer_tokens=whole.num_tokens,
        num_thinking_tokens=len(tokens.starts),
        num_windows=max(exchange.response.num_windows for exchange in exchanges),  # type: ignore[union-attr]
        prefix_answer_logliks_nats=(*others[:num_prefixes], whole.sum_nats) if num_prefixes else (),
        left_out_answer_logliks_nats=tuple(others[num_prefixes:]),
    )


def unscored(trace: SegmentedTrace, model: str) -> Iterator[TraceScores]:
    """No scores, for no method needs any."""
    yield TraceScores(trace.id, model, (), "none", math.nan, 0, 0)
