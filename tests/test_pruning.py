"""A contract for all methods, and what is each one's own."""

from __future__ import annotations

import gzip
import json
import math
import re
from itertools import islice
from typing import Any

import pytest

from tests.conftest import problem, segmented, shared
from transforms.inference.engine import Exchange, TokenScores
from transforms.pruning import METHODS, prune
from transforms.pruning.base import PruneInput
from transforms.pruning.first_correct import Config, conclusions
from transforms.score import Config as ScoreConfig
from transforms.score import requests, score
from transforms.traces import Parts, split_thinking
from transforms.types import Action, Drop, PrunedTrace, SegmentedTrace, StepScore, TraceScores

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


def words(text: str) -> TokenScores:
    """A token a word with the space after it, so that a step has the same tokens wherever it stands."""
    spans = [found.span() for found in re.finditer(r"\S+\s*|^\s+", text)]
    values = tuple(1 + len(text[start:end]) % 7 + start % 3 / 10 for start, end in spans)
    starts, ends = tuple(start for start, _ in spans), tuple(end for _, end in spans)
    return TokenScores(starts, ends, tuple(-value for value in values), values)


def scored(trace: SegmentedTrace) -> PruneInput:
    asked = requests(trace, ScoreConfig())
    (scores,) = score(trace, [Exchange(one, words(one.text)) for one in asked], ScoreConfig(), "scorer")
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
    assert run(again, method, same_budget(trace, pruned, method)).pruned == pruned.pruned


def same_budget(trace: SegmentedTrace, pruned: PrunedTrace, method: str) -> Any:
    """The method's options with as many tokens as it left."""
    left = [scored(trace).step_scores()[one.step].num_tokens for one in pruned.decisions if one.action == Action.KEEP]
    options = {"tokens": sum(left)} | ({"steps": None} if method == "step_entropy" else {})
    known = METHODS[method].Config.model_fields
    return METHODS[method].Config(**{name: value for name, value in options.items() if name in known})


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
    assert {"scores", "entropies", "annotations"} >= module.NEEDS
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


TEN = "\n\n".join(["First step here"] + [f"step {number} same words" for number in range(8)] + ["so it is 5 now"])


def kept_steps(pruned: PrunedTrace) -> list[int]:
    return [one.step for one in pruned.decisions if one.action == Action.KEEP]


def test_head_tail_and_random_at_one_budget() -> None:
    trace = segmented(TEN)
    head, tail = (run(trace, name, METHODS[name].Config(ratio=0.5)) for name in ("head", "tail"))
    assert kept_steps(head) == [0, 1, 2, 3, 9]  # the first step and the one with the answer stay
    assert kept_steps(tail) == [0, 6, 7, 8, 9]
    lots = [kept_steps(run(trace, "random", METHODS["random"].Config(ratio=0.5, seed=seed))) for seed in range(5)]
    assert len({tuple(kept) for kept in lots}) > 1
    assert all({0, 9} < set(kept) and len(kept) == 5 for kept in lots)
    other = SegmentedTrace(**{**vars(trace), "id": "p-1/0"})
    assert run(other, "random").decisions != run(trace, "random").decisions


def test_a_budget_in_tokens_and_one_that_protected_steps_do_not_leave() -> None:
    trace = segmented(TEN)
    assert kept_steps(run(trace, "head", METHODS["head"].Config(tokens=1000))) == list(range(10))
    pruned = run(trace, "head", METHODS["head"].Config(tokens=2))
    assert kept_steps(pruned) == [0, 9]
    assert pruned.shortfall == "8 tokens stay where 2 may: those of protected steps"
    assert run(trace, "head").shortfall == ""
    assert [one.reason for one in pruned.decisions if one.step in (0, 9)] == ["the first step", "has the final answer"]


def test_code_that_the_response_quotes_stays() -> None:
    code = "```python\ndef f(x):\n    return x\n```"
    trace = segmented(f"Hm.\n\n{code}\n\nHm again.\n\nSo 5.", f"By\n{code}\nit is \\boxed{{5}}.")
    pruned = run(trace, "tail", METHODS["tail"].Config(tokens=1))
    assert kept_steps(pruned) == [0, 1, 3]
    assert pruned.decisions[1].reason == "code that the response quotes"


def with_scores(
    thinking: str, surprisals: list[float], entropies: list[float] | None = None, **more: Any
) -> PruneInput:
    """A trace whose steps have these first-token surprisals and entropies, and ten tokens each."""
    trace = segmented(thinking, **more)
    steps = tuple(StepScore(s, s, s, e, e, 10) for s, e in zip(surprisals, entropies or surprisals, strict=True))
    return PruneInput(trace, TraceScores(trace.id, "scorer", steps, "exact", -1.0, 1, 10 * len(steps)))


def decided(given: PruneInput, method: str, **config: Any) -> list[int]:
    (pruned,) = prune(given, method, METHODS[method].Config(**config))
    assert isinstance(pruned, PrunedTrace)
    return kept_steps(pruned)


def test_asap_deletes_the_least_surprising_first_and_of_equal_steps_the_chosen_one() -> None:
    """The published code removes the first paragraph with the same text, whichever was chosen."""
    given = with_scores("Begin.\n\nsame\n\nother\n\nsame\n\nso it is 5", [9.0, 5.0, 4.0, 1.0, 0.0])
    assert decided(given, "asap", anchor="none", ratio=0.8) == [0, 1, 2, 4]
    assert decided(given, "asap", anchor="none", ratio=0.6) == [0, 1, 4]
    decisions = METHODS["asap"].prune(given, METHODS["asap"].Config(anchor="none"))
    assert [decision.score for decision in decisions] == [9.0, 5.0, 4.0, 1.0, 0.0]
    unknown = with_scores("Begin.\n\na\n\nb\n\nso it is 5", [math.nan, math.nan, 1.0, 2.0])
    assert decided(unknown, "asap", anchor="none", ratio=0.75) == [0, 1, 3]  # what is not known goes last


def test_the_lexical_anchor_is_the_response() -> None:
    thinking = "Let me see.\n\nThe apples cost 48 dollars.\n\nI like trains.\n\nHalf of 48 apples is 24.\n\nSo 72."
    given = with_scores(thinking, [1.0] * 5, response="The apples cost 48. Half of the apples is 24. \\boxed{72}")
    assert decided(given, "asap", ratio=1.0) == [0, 1, 3, 4]
    assert decided(given, "asap", ratio=1.0, anchor="none") == [0, 1, 2, 3, 4]
    silent = with_scores(thinking, [1.0] * 5, response="\\boxed{99}")
    assert decided(silent, "asap", ratio=1.0) == [0, 1, 2, 3, 4]  # no step is on its path: all stay


def test_step_entropy_deletes_the_lowest_share_of_steps() -> None:
    given = with_scores("a\n\nb\n\nc\n\nd\n\nso 5", [1.0] * 5, [5.0, 1.0, 3.0, 2.0, 0.0])
    assert decided(given, "step_entropy") == [0, 4]
    assert decided(given, "step_entropy", steps=0.4) == [0, 2, 3, 4]  # the answer's would go too, but stays
    assert decided(given, "step_entropy", steps=None, ratio=0.6) == [0, 2, 4]
