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
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, cast

from pydantic import Field

from transforms.answers.extract import RETRACTED, WORD, plain, stated_answer
from transforms.answers.options import option_letter
from transforms.core.config import Config as BaseConfig
from transforms.core.records import Drop, Problem, SegmentedTrace, Step, StepScore, TraceScores
from transforms.inference.requests import Exchange, ScoreRequest, TokenScores, failed, first_failure, turn

JOIN = "\n\n"  # between thinking and answer in the scored text
MAX_CLOSING_WORDS = 6
_STATEMENT = ("The final answer is \\boxed{", "}.")
_PROGRAM = ("```python\n", "\n```")


class Config(BaseConfig):
    """`model` names the scorer in `models`.

    `tokens: first` scores only each step's first token, in less time: no means, sums and entropies.
    `likelihoods` holds what is asked of the answer beside the whole thinking: prefixes, left_out.
    """

    model: str = Field("student", min_length=1)
    tokens: Literal["all", "first"] = "all"
    likelihoods: tuple[Literal["prefixes", "left_out"], ...] = Field((), strict=False)


class Likelihood(NamedTuple):
    """Sum of the log-probabilities of an answer's tokens in nats, and their number; NaN and 0 where it is not known."""

    sum_nats: float
    num_tokens: int

    @property
    def per_token(self) -> float:
        """Nats per token of the answer."""
        return self.sum_nats / self.num_tokens if self.num_tokens else math.nan


UNKNOWN = Likelihood(math.nan, 0)


def requests(trace: SegmentedTrace, config: Config) -> list[ScoreRequest]:
    """The thinking; the answer after it; and as `config.likelihoods` says, after each prefix and without each step."""
    thinking, spans = trace.thinking, None
    if config.tokens == "first":
        spans = tuple((place, place + 1) for place in (first_visible(thinking, step) for step in trace.steps))
        spans = ((0, spans[0][1]), *spans[1:])  # with the white space before, so that all tokens are counted
    asked = [replace(turn(trace.prompt, thinking), spans=spans)]
    answer = final_answer(trace.response, trace.problem)
    if not answer:
        return asked
    contexts = [thinking]
    if "prefixes" in config.likelihoods:
        contexts += [thinking[: step.start] for step in trace.steps]
    if "left_out" in config.likelihoods:
        contexts += [thinking[: step.start] + thinking[step.end :] for step in trace.steps]
    kind = trace.problem.answer_kind
    return asked + [answer_request(trace.prompt, context, answer, kind) for context in contexts]


def final_answer(response: str, problem: Problem) -> str:
    """The answer that a response states, as it would stand in a box: an option's letter, a value without bold or "x ="; or ""."""
    found = stated_answer(response, problem.answer_kind)
    if found is None or found.rule == RETRACTED or "\\boxed" in found.answer:  # taken back; an empty or open box
        return ""
    if (
        found.rule == "closing"
        and problem.answer_kind != "text"
        and len(WORD.findall(found.answer)) > MAX_CLOSING_WORDS
    ):
        return ""  # the last line of a response that states no answer
    if problem.answer_kind == "choice":
        return option_letter(found.answer, problem.options) or found.answer.strip()
    if problem.answer_kind == "code" or found.rule == "boxed":
        return found.answer.strip()
    return plain(found.answer.strip().rstrip(".")).strip() or found.answer.strip()


def answer_request(prompt: str, thinking: str, answer: str, kind: str) -> ScoreRequest:
    """Asks for the tokens of `answer` where it is stated after the thinking."""
    given, after = statement(thinking, kind), (_PROGRAM if kind == "code" else _STATEMENT)[1]
    return replace(turn(prompt, given + answer + after), spans=((len(given), len(given + answer)),))


def statement(thinking: str, kind: str) -> str:
    """The thinking, and then the words that the answer follows."""
    before = (_PROGRAM if kind == "code" else _STATEMENT)[0]
    return f"{thinking.strip()}{JOIN}{before}" if thinking.strip() else before


def likelihood(exchange: Exchange) -> Likelihood:
    """That of the answer, from the scorer's answer to `answer_request`."""
    request, tokens = cast("ScoreRequest", exchange.request), exchange.response
    if not isinstance(tokens, TokenScores):
        return UNKNOWN
    ((start, end),) = request.spans or ((0, len(request.text)),)
    found = [
        value for value in (tokens.logprobs_nats[number] for number in tokens.held(start, end)) if value is not None
    ]
    return Likelihood(math.fsum(found), len(found))


def score(trace: SegmentedTrace, exchanges: list[Exchange], config: Config, model: str) -> Iterator[TraceScores | Drop]:
    """The scores of one trace from the scorer's answers to `requests`, or a drop with the scorer's reason."""
    if failure := first_failure(exchanges):
        yield failed(trace.id, "score", failure)
        return
    tokens = cast("TokenScores", exchanges[0].response)
    answers = [likelihood(exchange) for exchange in exchanges[1:]]
    whole = answers[0] if answers else UNKNOWN
    others = [answer.sum_nats for answer in answers[1:]]
    num_steps = len(trace.steps)
    num_prefixes = num_steps if "prefixes" in config.likelihoods and others else 0
    yield TraceScores(
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
