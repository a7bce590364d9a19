"""Pruned traces are verified again, and roll back when they do not hold."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import answered, problem, segmented
from transforms.inference.engine import Exchange, Failure, TokenScores
from transforms.pruning import prune
from transforms.pruning.base import PruneInput
from transforms.pruning.first_correct import Config as FirstCorrect
from transforms.recheck import Config, checkable, recheck, requests
from transforms.types import CodeTests, Drop, PrunedTrace, RecheckedTrace
from transforms.verify import judge_response

TEXT = "See.\n\n2 + 3 = 5.\n\nCheck."


def pruned(answer: str = "5") -> PrunedTrace:
    (found,) = prune(PruneInput(segmented(TEXT, given=problem("5")), None), "first_correct", FirstCorrect())
    assert isinstance(found, PrunedTrace)
    return PrunedTrace(**{**vars(found), "problem": problem(answer)})


def scores(text: str, loglik: float) -> TokenScores:
    """One token a character, of `loglik` nats each."""
    return TokenScores(
        tuple(range(len(text))), tuple(range(1, len(text) + 1)), (loglik,) * len(text), (0.0,) * len(text)
    )


def exchanges(trace: PrunedTrace, after: float) -> list[Exchange]:
    """All that is asked, answered: with −1 nat a token for the original, and `after` for what is pruned."""
    asked = requests(trace)
    return [
        Exchange(request, scores(request.text, value)) for request, value in zip(asked, [-1.0, after] * 2, strict=False)
    ]


def run(trace: PrunedTrace, after: float, **config: Any) -> RecheckedTrace:
    (found,) = recheck(trace, exchanges(trace, after), Config(**config))
    assert isinstance(found, RecheckedTrace)
    return found


def test_what_is_asked() -> None:
    original, shorter, before, after = requests(pruned())
    assert (original.text, shorter.text) == (TEXT, "See.\n\n2 + 3 = 5.\n\n")
    assert after.text == "See.\n\n2 + 3 = 5.\n\nThe final answer is \\boxed{5}."
    assert [request.text[slice(*request.spans[0])] for request in (before, after) if request.spans] == ["5", "5"]


def test_what_holds_passes() -> None:
    found = run(pruned(), -1.05)
    assert (found.status, found.final) == ("passed", "See.\n\n2 + 3 = 5.\n\n")
    assert found.num_tokens_before == len(TEXT)
    assert found.num_tokens_after == found.num_tokens_pruned == len("See.\n\n2 + 3 = 5.\n\n")
    assert found.answer_loglik_before_nats_per_token == pytest.approx(-1.0)
    assert found.answer_loglik_after_nats_per_token == pytest.approx(-1.05)


def test_an_unlikely_answer_rolls_back() -> None:
    found = run(pruned(), -1.2)
    assert (found.status, found.final, found.reason) == ("rolled_back", TEXT, "the answer became too unlikely")
    assert found.num_tokens_after == found.num_tokens_before
    assert run(pruned(), -1.2, max_loss_nats_per_token=0.3).status == "passed"


def test_a_wrong_original_is_marked_not_hidden() -> None:
    found = run(pruned("7"), -1.0)
    assert (found.status, found.outcome, found.final) == ("original_fails", "incorrect", TEXT)


def test_pruned_text_that_breaks_the_tags_rolls_back() -> None:
    trace = pruned()
    broken = PrunedTrace(**{**vars(trace), "pruned": "so</think>it is \\boxed{9}"})
    found = run(broken, -1.0)
    assert (found.status, found.reason) == (
        "rolled_back",
        "the pruned trace does not parse as training would see it",
    )


def test_the_mean_log_probability_is_of_what_goes_on() -> None:
    assert run(pruned(), -0.5).mean_logprob_after_nats_per_token == pytest.approx(-0.5)
    assert run(pruned(), -2.0).mean_logprob_after_nats_per_token == pytest.approx(-1.0)  # rolled back
    empty = [Exchange(request, TokenScores((), (), (), ())) for request in requests(pruned())]
    (found,) = recheck(pruned(), empty, Config())
    assert isinstance(found, RecheckedTrace)
    assert math.isnan(found.mean_logprob_after_nats_per_token)


def test_a_response_without_an_answer_has_no_likelihoods() -> None:
    trace = replace(pruned(), response=" ")
    assert len(requests(trace)) == 2
    (found,) = recheck(trace, [Exchange(request, scores(request.text, -1.0)) for request in requests(trace)], Config())
    assert isinstance(found, RecheckedTrace)
    assert math.isnan(found.answer_loglik_before_nats_per_token)
    assert found.status == "original_fails"


def test_the_response_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing is what costs, and the original and the pruned trace have the same response."""
    judged: list[str] = []

    def count(response: str, *others: Any) -> Any:
        judged.append(response)
        return judge_response(response, *others)

    monkeypatch.setattr("transforms.recheck.judge_response", count)
    assert run(pruned(), -1.0).status == "passed"
    assert judged == ["So it is \\boxed{5}."]


def test_without_a_reference_the_traces_own_answer_has_to_stay() -> None:
    found = run(pruned(""), -1.05)
    assert (found.status, found.outcome, found.problem.answer) == ("passed", "correct", "")
    assert run(pruned(""), -1.2).status == "rolled_back"
    silent = replace(pruned(""), problem=problem("", "text"), response="I am done.\nGood bye.")
    assert run(silent, -1.0).status == "original_fails"


def test_what_is_checked_against() -> None:
    assert checkable(problem("7"), "So it is \\boxed{5}.").answer == "7"
    assert checkable(problem(""), "So it is \\boxed{5}.").answer == "5"
    assert checkable(problem(""), "").answer == ""
    tests = CodeTests(asserts=("assert f(2) == 3",))
    assert checkable(problem("", "code", tests=tests), "```python\ndef f(x): ...\n```").answer == ""


def test_a_failure_is_a_drop() -> None:
    trace = pruned()
    (found,) = recheck(trace, answered(scores("x", -1.0), Failure("too_long", "5000 tokens")), Config())
    assert isinstance(found, Drop)
    assert found.reason == "too_long"
