"""Tokens go to steps by characters, and sums add up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import segmented, token_scores
from transforms.inference.engine import Failure, TokenScores
from transforms.score import JOIN, answer_loglik, score, score_request
from transforms.segment import split_steps
from transforms.types import Drop, TraceScores


@given(st.text(alphabet="ab \n", min_size=1).filter(str.strip), st.integers(1, 5))
def test_every_token_of_the_thinking_is_in_exactly_one_step(thinking: str, width: int) -> None:
    trace = segmented(thinking.strip(), "It is \\boxed{12345}.")
    tokens = token_scores(trace.thinking + JOIN + trace.response, width)
    (scores,) = score(trace, tokens, "scorer")
    assert isinstance(scores, TraceScores)
    inside = [number for number, start in enumerate(tokens.starts) if start < len(trace.thinking)]
    assert sum(step.num_tokens for step in scores.steps) == scores.num_thinking_tokens == len(inside)
    assert sum(step.sum_surprisal_nats for step in scores.steps) == pytest.approx(
        -sum(tokens.logprobs_nats[n] for n in inside)
    )
    assert sum(step.sum_entropy_nats for step in scores.steps) == pytest.approx(
        sum(tokens.entropies_nats[n] for n in inside)
    )
    text = trace.thinking + JOIN + trace.response
    place = text.rindex("12345")
    holding = [
        n
        for n, (start, end) in enumerate(zip(tokens.starts, tokens.ends, strict=True))
        if end > place and start < place + 5
    ]
    assert scores.num_answer_tokens == len(holding)
    assert scores.answer_loglik_nats == pytest.approx(sum(tokens.logprobs_nats[n] for n in holding))


def test_worked_example() -> None:
    trace = segmented("ab\n\n cd", "\\boxed{x}")
    assert [(step.start, step.end) for step in trace.steps] == [(0, 4), (4, 7)]
    # "ab\n" | "\n c" | "d" and the join | "\boxed{" | "x}"
    tokens = TokenScores((0, 3, 6, 9, 16), (3, 6, 9, 16, 18), (-1.0, -2.0, -4.0, -8.0, -16.0), (1.0,) * 5)
    (scores,) = score(trace, tokens, "scorer")
    assert isinstance(scores, TraceScores)
    first, second = scores.steps
    assert (first.first_token_surprisal_nats, first.sum_surprisal_nats, first.num_tokens) == (1.0, 3.0, 2)
    # the first visible character of step 2 is "c" at 5, held by the token that starts at 3
    assert (second.first_token_surprisal_nats, second.sum_surprisal_nats, second.num_tokens) == (2.0, 4.0, 1)
    assert (scores.answer_loglik_nats, scores.num_answer_tokens, scores.num_thinking_tokens) == (-16.0, 1, 3)


def test_a_character_of_several_tokens_starts_at_the_first() -> None:
    trace = segmented("👍", "x")
    tokens = TokenScores((0, 0, 0, 1, 3), (1, 1, 1, 3, 4), (-1.0, -2.0, -3.0, -0.5, -0.25), (0.0,) * 5)
    (scores,) = score(trace, tokens, "scorer")
    assert isinstance(scores, TraceScores)
    assert scores.steps[0].first_token_surprisal_nats == 1.0
    assert scores.steps[0].num_tokens == 3


def test_a_step_without_a_token_start_has_no_mean() -> None:
    thinking = "a\n\nb\n\nc"
    trace = segmented(thinking, "x")
    tokens = TokenScores((0, 7), (7, 10), (-1.0, -2.0), (0.0, 0.0))
    (scores,) = score(trace, tokens, "scorer")
    assert isinstance(scores, TraceScores)
    assert math.isnan(scores.steps[1].mean_surprisal_nats)
    assert scores.steps[1].sum_surprisal_nats == 0.0
    assert scores.steps[1].first_token_surprisal_nats == 1.0
    assert len(split_steps(thinking)) == 3


@pytest.mark.parametrize(("kind", "reason"), [("too_long", "too_long"), ("engine_error", "request_failed")])
def test_a_failure_is_a_drop(kind: str, reason: str) -> None:
    (drop,) = score(segmented("a"), Failure(kind, "5000 tokens"), "scorer")
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.detail) == (reason, "5000 tokens")


def test_the_request_holds_what_training_holds() -> None:
    assert score_request("q", " a\n", "b").text == "a\n\nb"


def test_a_response_without_an_answer_has_no_likelihood() -> None:
    assert answer_loglik("a", " ", "math", TokenScores((0, 1, 3), (1, 3, 4), (-1.0, -1.0, -3.0), (0.0,) * 3)) == (
        0.0,
        0,
    )
