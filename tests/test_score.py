"""Tokens go to steps by characters, sums add up, and the answer is scored after the thinking."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import played, problem, segmented
from tests.conftest import token_scores
from transforms.answers.final import final_answer
from transforms.answers.likelihood import Likelihood, answer_request, likelihood
from transforms.core.drops import Drop
from transforms.core.records import SegmentedTrace, TraceScores
from transforms.inference.requests import Exchange, Failure, ScoreRequest, TokenScores, asked_for, turn
from transforms.score import Config, dialogue, requests


def run(trace: SegmentedTrace, answers: Any, **config: Any) -> TraceScores:
    """The scores of a trace when `answers` gives what each request is answered with."""
    found = outcome(trace, answers, Config(**config))
    assert isinstance(found, TraceScores)
    return found


def outcome(trace: SegmentedTrace, answers: Any, config: Config) -> TraceScores | Drop:
    """What becomes of a trace."""
    return played(dialogue(trace, config, "scorer"), answers)


def fixed(tokens: TokenScores) -> Any:
    """The thinking is answered with `tokens`, all else with a token of −1 nat every three characters."""
    answers = iter([tokens])
    return lambda request: next(answers, None) or token_scores(request.text)


@given(st.text(alphabet="ab \n", min_size=1).filter(str.strip), st.integers(1, 5))
def test_every_token_of_the_thinking_is_in_exactly_one_step(thinking: str, width: int) -> None:
    trace = segmented(thinking, "It is \\boxed{12345}.")
    tokens = token_scores(thinking, width)
    scores = run(trace, fixed(tokens))
    assert sum(step.num_tokens for step in scores.steps) == scores.num_thinking_tokens == len(tokens.starts)
    known = [value for value in tokens.logprobs_nats if value is not None]
    assert sum(step.sum_surprisal_nats for step in scores.steps) == pytest.approx(-sum(known))
    assert sum(step.sum_entropy_nats for step in scores.steps) == pytest.approx(
        sum(value for value in tokens.entropies_nats if value is not None)
    )
    assert (scores.entropy, scores.num_windows) == ("exact", 1)
    assert all(step.sum_entropy_upper_nats == step.sum_entropy_nats for step in scores.steps)


def test_worked_example() -> None:
    trace = segmented("ab\n\n cd", "\\boxed{x}")
    assert [(step.start, step.end) for step in trace.steps] == [(0, 4), (4, 7)]
    # "ab\n" | "\n c" | "d"
    scores = run(trace, fixed(TokenScores((0, 3, 6), (3, 6, 7), (-1.0, -2.0, -4.0), (1.0,) * 3)))
    first, second = scores.steps
    assert (first.first_token_surprisal_nats, first.sum_surprisal_nats, first.num_tokens) == (1.0, 3.0, 2)
    # the first visible character of step 2 is "c" at 5, held by the token that starts at 3
    assert (second.first_token_surprisal_nats, second.sum_surprisal_nats, second.num_tokens) == (2.0, 4.0, 1)
    assert scores.num_thinking_tokens == 3


def test_a_character_of_several_tokens_starts_at_the_first() -> None:
    tokens = TokenScores((0, 0, 0), (1, 1, 1), (-1.0, -2.0, -3.0), (0.0,) * 3)
    (step,) = run(segmented("👍", "x"), fixed(tokens)).steps
    assert (step.first_token_surprisal_nats, step.num_tokens) == (1.0, 3)


def test_a_step_inside_a_token_has_no_mean() -> None:
    tokens = TokenScores((0, 7), (7, 10), (-1.0, -2.0), (0.0, 0.0))
    first, second, third = run(segmented("a\n\nb\n\nc", "x"), fixed(tokens)).steps
    assert (first.num_tokens, second.num_tokens, third.num_tokens) == (1, 0, 0)
    assert math.isnan(second.mean_surprisal_nats)
    assert second.sum_surprisal_nats == 0.0
    assert second.first_token_surprisal_nats == 1.0


def test_only_first_tokens() -> None:
    trace = segmented("  ab\n\ncd")
    asked = requests(trace, Config(tokens="first"))
    assert asked[0].spans == ((0, 3), (6, 7))  # from the start, so that the white space before is counted
    tokens = TokenScores((0, 3, 6), (3, 6, 8), (-1.0, None, -4.0), (1.0, None, 2.0))
    scores = run(trace, fixed(tokens), tokens="first")
    assert [step.first_token_surprisal_nats for step in scores.steps] == [1.0, 4.0]
    assert [step.num_tokens for step in scores.steps] == [2, 1]
    assert math.isnan(scores.steps[0].sum_surprisal_nats)
    assert scores.entropy == "none"


def test_an_answer_after_a_long_thinking_is_kept_as_a_few_tokens() -> None:
    tokens = token_scores("2 + 3 = 5. " * 50 + "5}.", width=1)
    asked = ScoreRequest((), "2 + 3 = 5. " * 50 + "5}.", ((550, 551),))
    kept = asked_for(asked, tokens)
    assert isinstance(kept, TokenScores)
    assert (kept.starts, kept.ends) == ((550, 551, 552), (551, 552, 553))
    assert likelihood(Exchange(asked, kept)) == likelihood(Exchange(asked, tokens)) == (-55.1, 1)
    assert asked_for(turn("?", "5"), token_scores("5")) == token_scores("5")


def test_bounds_of_the_entropy() -> None:
    tokens = TokenScores((0, 2), (2, 4), (-1.0, -1.0), (1.0, 2.0), (1.5, 4.0))
    scores = run(segmented("abcd"), fixed(tokens))
    assert (scores.steps[0].sum_entropy_nats, scores.steps[0].sum_entropy_upper_nats) == (3.0, 5.5)
    assert scores.entropy == "bounds"


def test_the_first_token_of_a_text_without_a_prompt_is_not_known() -> None:
    scores = run(segmented("ab\n\ncd"), fixed(TokenScores((0, 4), (4, 6), (None, -2.0), (None, 0.5))))
    assert math.isnan(scores.steps[0].first_token_surprisal_nats)
    assert math.isnan(scores.steps[0].mean_surprisal_nats)
    assert scores.steps[1].mean_surprisal_nats == 2.0


@pytest.mark.parametrize(
    ("kind", "response", "stated"),
    [
        ("math", "So \\boxed{\\frac{1}{2}}, done.", "The final answer is \\boxed{\\frac{1}{2}}."),
        ("choice", "The answer is (B).", "The final answer is \\boxed{B}."),
        ("math", "The answer is **x = 12.**", "The final answer is \\boxed{12}."),
        ("code", "Here:\n```python\nprint(1)\n```", "```python\nprint(1)\n```"),
    ],
)
def test_the_answer_after_the_thinking(kind: str, response: str, stated: str) -> None:
    trace = segmented(" Hm.\n\n", response, problem("x", kind, options=("1", "2")))
    _, asked = requests(trace, Config())
    assert asked.text == f"Hm.\n\n{stated}"
    assert asked.spans is not None
    ((start, end),) = asked.spans
    assert asked.text[start:end] in ("\\frac{1}{2}", "B", "12", "print(1)")
    assert answer_request("q", " ", "5", "math").text == "The final answer is \\boxed{5}."


@pytest.mark.parametrize(
    "response",
    [
        " ",
        "It is \\boxed{}.",
        "I could not solve this hard problem in the given time, sorry.",
        "\\boxed{5}. Wait, no, that's wrong.",
    ],
)
def test_what_states_no_answer(response: str) -> None:
    assert final_answer(response, problem("5")) == ""


def test_the_likelihood_of_the_answer_is_over_the_tokens_that_hold_it() -> None:
    request = answer_request("q", "Hm.", "12345", "math")
    tokens = token_scores(request.text)
    place = request.text.rindex("12345")
    holding = [
        value or 0
        for start, end, value in zip(tokens.starts, tokens.ends, tokens.logprobs_nats, strict=True)
        if end > place and start < place + 5
    ]
    found = likelihood(Exchange(request, tokens))
    assert found == Likelihood(pytest.approx(sum(holding)), len(holding))
    assert found.per_token == pytest.approx(sum(holding) / len(holding))
    assert math.isnan(likelihood(Exchange(request, Failure("too_long", "…"))).per_token)


def test_the_answer_after_each_prefix_and_without_each_step() -> None:
    trace = segmented("one\n\ntwo\n\nthree")

    def tokens(request: Any) -> TokenScores:
        """The answer's log-likelihood is minus the number of steps that are not there."""
        missing = sum(word not in request.text for word in ("one", "two", "three"))
        return TokenScores((0,), (len(request.text),), (-float(missing),), (0.0,))

    scores = run(trace, tokens, likelihoods=["prefixes", "left_out"])
    assert scores.answer_loglik_nats == 0.0
    assert scores.prefix_answer_logliks_nats == (-3.0, -2.0, -1.0, 0.0)
    assert scores.left_out_answer_logliks_nats == (-1.0, -1.0, -1.0)
    only = run(trace, tokens, likelihoods=["left_out"])
    assert (only.prefix_answer_logliks_nats, len(only.left_out_answer_logliks_nats)) == ((), 3)
    plain = run(trace, tokens)
    assert (plain.prefix_answer_logliks_nats, plain.left_out_answer_logliks_nats) == ((), ())


def test_a_response_without_an_answer_has_no_likelihood() -> None:
    scores = run(segmented("a", " "), lambda request: token_scores(request.text), likelihoods=["prefixes", "left_out"])
    assert math.isnan(scores.answer_loglik_nats)
    assert scores.num_answer_tokens == 0
    assert scores.prefix_answer_logliks_nats == ()


@pytest.mark.parametrize(("kind", "reason"), [("too_long", "too_long"), ("engine_error", "request_failed")])
@pytest.mark.parametrize("place", [0, 1])
def test_a_failure_is_a_drop(kind: Any, reason: str, place: int) -> None:
    trace = segmented("a")
    asked = requests(trace, Config())
    failing = asked[place]
    answers = lambda one: Failure(kind, "5000 tokens") if one == failing else token_scores(one.text)  # noqa: E731
    drop = outcome(trace, answers, Config())
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.detail) == (reason, "5000 tokens")


def test_windows_are_marked() -> None:
    tokens = TokenScores((0,), (1,), (-1.0,), (0.0,), (), 3)
    assert run(segmented("a"), fixed(tokens)).num_windows == 3
