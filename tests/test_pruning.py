"""A contract for all methods, and what is each one's own."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from typing import Any

import pytest

from tests.conftest import problem, segmented, shared, token_scores
from transforms.inference.engine import Exchange
from transforms.pruning import METHODS, prune
from transforms.pruning.base import PruneInput
from transforms.pruning.first_correct import Config, conclusions
from transforms.score import Config as ScoreConfig
from transforms.score import requests, score
from transforms.traces import Parts, split_thinking
from transforms.types import Action, Drop, PrunedTrace, SegmentedTrace, TraceScores

MADE = [
    segmented("2 + 3 = 5."),
    segmented("Let me see.\n\n2 + 3 = 5.\n\nCheck: 3 + 2 = 5.\n\nYes."),
    segmented("a\n\na\n\na", given=problem("7")),
    segmented("\n\n  é\u0301👩‍👧 = 5\n\n```\nx\n\ny\n```"),
]


def real_traces() -> list[SegmentedTrace]:
    found = []
    for name in ("gsm8k_deepseek-r1", "math_deepseek-r1", "gsm8k_r1-distill-qwen-32b"):
        with gzip.open(shared(f"traces/{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            for row in map(json.loads, islice(lines, 4)):
                parts = split_thinking(row["response"])
                assert isinstance(parts, Parts)
                found.append(
                    segmented(
                        parts.thinking, parts.response, problem(row["reference_answer"], question=row["question"])
                    )
                )
    return found


def scored(trace: SegmentedTrace) -> PruneInput:
    asked = requests(trace, ScoreConfig())
    (scores,) = score(trace, [Exchange(one, token_scores(one.text)) for one in asked], ScoreConfig(), "scorer")
    assert isinstance(scores, TraceScores)
    return PruneInput(trace, scores)


def run(trace: SegmentedTrace, method: str, config: Any = None) -> PrunedTrace:
    (pruned,) = prune(scored(trace), method, config or METHODS[method].Config())
    assert isinstance(pruned, PrunedTrace)
    return pruned


def assert_contract(trace: SegmentedTrace, method: str) -> None:
    pruned = run(trace, method)
    assert [decision.step for decision in pruned.decisions] == list(range(len(trace.steps)))
    assert all(decision.reason for decision in pruned.decisions)
    kept = [trace.steps[d.step] for d in pruned.decisions if d.action == Action.KEEP]
    assert pruned.pruned == "".join(trace.thinking[step.start : step.end] for step in kept)
    assert pruned.pruned.strip()
    assert len(pruned.pruned) <= len(trace.thinking)
    assert (pruned.thinking, pruned.response) == (trace.thinking, trace.response)
    assert run(trace, method) == pruned
    again = segmented(pruned.pruned, trace.response, trace.problem)
    assert run(again, method).pruned == pruned.pruned


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trace", MADE, ids=range(len(MADE)))
def test_contract(trace: SegmentedTrace, method: str) -> None:
    assert_contract(trace, method)


@pytest.mark.parametrize("method", METHODS)
def test_contract_on_real_traces(method: str) -> None:
    for trace in real_traces():
        assert_contract(trace, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_states_its_needs_and_version(method: str) -> None:
    module = METHODS[method]
    assert {"scores", "annotations"} >= module.NEEDS
    assert module.VERSION
    assert "arXiv" in (module.__doc__ or "") or method == "keep_all"
    (outcome,) = prune(PruneInput(MADE[0], None), method, module.Config())
    assert isinstance(outcome, Drop) == ("scores" in module.NEEDS)


@pytest.mark.parametrize(
    ("text", "config", "kept"),
    [
        ("See.\n\n2 + 3 = 5.\n\nCheck: 5 - 3 = 2.\n\nGood.", Config(), "See.\n\n2 + 3 = 5.\n\n"),
        ("Maybe it is 5.\n\nSo 2 + 3 = 5\n\nYes.", Config(), "Maybe it is 5.\n\nSo 2 + 3 = 5\n\n"),
        (
            "2 + 3 = 5\n\nAgain: 3 + 2 = 5.\n\nBut 1 = 1.\n\nSo it is 5.\n\nEnd.",
            Config(solutions=2),
            "2 + 3 = 5\n\nAgain: 3 + 2 = 5.\n\nBut 1 = 1.\n\nSo it is 5.\n\n",
        ),
        ("2 + 3 = 5.\n\nHm.\n\nSo \\boxed{5}.", Config(keep_conclusion=True), "2 + 3 = 5.\n\nSo \\boxed{5}."),
        ("2 + 3 = 6.\n\nHm.", Config(), "2 + 3 = 6.\n\nHm."),
    ],
)
def test_first_correct(text: str, config: Config, kept: str) -> None:
    assert run(segmented(text), "first_correct", config).pruned == kept


@pytest.mark.parametrize(
    ("text", "question", "found"),
    [
        ("12 + 30 = 42", "12 + 30", ["42"]),
        ("= 3 + 4 = 7", "", ["7"]),
        ("the total is 1,234 euros", "", ["1234"]),
        ("The 31s cancel, which gives us 63.", "", []),
        ("= 3 + 4\n= 7", "", ["7"]),
        ("x = 1,234 + 1", "", []),
        ("There are 5 cats.", "How do 5 cats …", []),
        ("so \\boxed{5}", "How do 5 cats …", ["5"]),
        ("There are 5 cats.", "How many cats?", []),
        ("So there are 5 cats.", "How many cats?", ["5"]),
        ("a sum of 5 and 6 things", "", []),
        ("the total cost: $18", "", ["18"]),
        ("Maybe we should try option 17.", "", []),
        ("If x is 17 then it fails.", "", []),
        ("Step 2: 17 apples are unripe.", "", []),
        ("Is the answer = 17?", "", []),
        *(
            (text, "q", [])
            for text in (
                "area = 5(3 + 2)",
                "area = 5^2",
                "n = 5!",
                "= 5\\sqrt{2}",
                "3x = 5y + 2",
                "n = 5 mod 3",
                "= 5 1/2",
                "2x + 3x = 5x",
                "x = 5 is not a solution",
            )
        ),
        ("so r = 45", "4*r - 45 = 135", ["45"]),
        ("r = 45", "Let r = 45.", []),
        ("Step 3: add them, which is \\( 6 + 27 = 33 \\).", "", ["33"]),
        ("\\(q = 36\\)", "", ["36"]),
    ],
)
def test_conclusions(text: str, question: str, found: list[str]) -> None:
    assert conclusions(text, question) == found


@pytest.mark.parametrize(
    "text", ["=" + " (\\text{" * 50_000, ": " * 100_000, "= " + "1" * 200_000, "is " + "1," * 100_000 + "+"]
)
def test_conclusions_of_hostile_text_take_linear_time(text: str) -> None:
    conclusions(text, "")  # backtracking would hit the test's time-out
