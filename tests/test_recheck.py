"""Pruned traces are verified again, and roll back when they do not hold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import problem, segmented
from transforms.inference.engine import Failure, TokenScores
from transforms.pruning import prune
from transforms.pruning.base import PruneInput
from transforms.pruning.first_correct import Config as FirstCorrect
from transforms.recheck import Config, recheck, requests
from transforms.types import Drop, PrunedTrace, RecheckedTrace

TEXT = "See.\n\n2 + 3 = 5.\n\nCheck."


def pruned(answer: str = "5") -> PrunedTrace:
    (found,) = prune(PruneInput(segmented(TEXT, given=problem("5")), None), "first_correct", FirstCorrect())
    assert isinstance(found, PrunedTrace)
    return PrunedTrace(**{**vars(found), "problem": problem(answer)})


def scores(text: str, loglik: float) -> TokenScores:
    """One token a character; the response's tokens have `loglik` nats each."""
    return TokenScores(
        tuple(range(len(text))), tuple(range(1, len(text) + 1)), (loglik,) * len(text), (0.0,) * len(text)
    )


def run(trace: PrunedTrace, after: float, **config: Any) -> RecheckedTrace:
    first, second = requests(trace)
    (found,) = recheck(trace, [scores(first.text, -1.0), scores(second.text, after)], Config(**config))
    assert isinstance(found, RecheckedTrace)
    return found


def test_what_holds_passes() -> None:
    found = run(pruned(), -1.05)
    assert (found.status, found.final) == ("passed", "See.\n\n2 + 3 = 5.\n\n")
    assert found.num_tokens_before == len(TEXT)
    assert found.num_tokens_after == found.num_tokens_pruned == len("See.\n\n2 + 3 = 5.")
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
    assert run(broken, -1.0).status == "rolled_back"


def test_a_failure_is_a_drop() -> None:
    trace = pruned()
    (found,) = recheck(trace, [scores("x", -1.0), Failure("too_long", "5000 tokens")], Config())
    assert isinstance(found, Drop)
    assert found.reason == "too_long"
