"""Pruned traces are verified again, and roll back when they do not hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import Seen, answering, played, problem, segmented, version
from transforms import judging as verify
from transforms.answers.likelihood import JOIN
from transforms.core.drops import Drop
from transforms.core.records import Arithmetic, CodeTests, Decision, Edge, Problem, Pruned, Rechecked
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Response,
    ScoreRequest,
    TokenScores,
)
from transforms.judging import judge_response
from transforms.prune import prune
from transforms.pruning import METHODS
from transforms.pruning.given import PruneInput
from transforms.pruning.methods.first_correct import Config as FirstCorrect
from transforms.recheck import JUDGING, Config, Measured, _judged, checkable, derivation, dialogue, flow_of
from transforms.steps.joining import joined, staying
from transforms.steps.versions import Version

QUESTION = "How many are there?"
TEXT = "See.\n\n2 + 3 = 5.\n\nCheck."


def pruned(answer: str = "5") -> Version:
    trace = segmented(TEXT, given=problem("5", question=QUESTION))
    (found,) = prune(PruneInput(trace, None), "first_correct", FirstCorrect())
    assert isinstance(found, Pruned)
    return Version(replace(trace, problem=problem(answer, question=QUESTION)), found)


def saying(given: Version, response: str, to: Problem | None = None) -> Version:
    """The version of a trace with another response."""
    return replace(given, trace=answering(given.trace, response, to))


def scores(text: str, loglik: float) -> TokenScores:
    """One token a character, of `loglik` nats each."""
    return TokenScores(
        tuple(range(len(text))), tuple(range(1, len(text) + 1)), (loglik,) * len(text), (0.0,) * len(text)
    )


def conclude(
    version: Version,
    likely: Callable[[str], float],
    right: str | tuple[str, ...] = "5",
    judging: verify.Config = JUDGING,
    **config: Any,
) -> tuple[Seen | Drop, list[str]]:
    """The dialogue with a scorer for whom the tokens of a text have `likely(text)` nats each; and all texts scored."""
    texts: list[str] = []

    def answer(request: Any) -> Response:
        if isinstance(request, ScoreRequest):
            texts.append(request.text)
            return scores(request.text, likely(request.text))
        assert isinstance(request, GenerateRequest)
        said = right if isinstance(right, str) else right[request.sample]
        return Completion(f"{said}}}. So\n\\boxed{{0}}", "stop", 1, 1)

    found = played(dialogue(version, Config(**config), judging), answer)
    return Seen(replace(version, rechecked=found)) if isinstance(found, Rechecked) else found, texts


def run(version: Version, after: float, **config: Any) -> Seen:
    """−1 nat a token for the original, `after` for what is shorter, −3 for no thinking."""
    whole = len(derivation(version.trace, version.trace.thinking).strip())

    def likely(text: str) -> float:
        return (
            -3.0 if text.startswith("The final") else after if len(text.partition(JOIN + "The f")[0]) < whole else -1.0
        )

    found, _ = conclude(version, likely, **config)
    assert isinstance(found, Seen)
    return found


def test_what_is_asked() -> None:
    _, texts = conclude(pruned(), lambda _: -1.0)
    short, end = "See.\n\n2 + 3 = 5.\n\n", "The final answer is \\boxed{5}."
    assert texts == [TEXT, short, f"{TEXT}\n\n{end}", short + end, f"{TEXT}\n\n{end}", short + end, end]


def test_what_holds_passes() -> None:
    found = run(pruned(), -1.05)
    assert (found.status, found.final, found.given_back, found.num_checks) == (
        "passed",
        "See.\n\n2 + 3 = 5.\n\n",
        (),
        1,
    )
    assert found.num_tokens_before == len(TEXT)
    assert found.num_tokens_after == found.num_tokens_pruned == len("See.\n\n2 + 3 = 5.\n\n")
    assert found.answer_loglik_before_nats_per_token == found.support_before_nats_per_token == pytest.approx(-1.0)
    assert found.answer_loglik_pruned_nats_per_token == found.support_after_nats_per_token == pytest.approx(-1.05)
    assert found.answer_loglik_without_nats_per_token == pytest.approx(-3.0)
    assert found.supported


def test_an_unlikely_answer_gives_the_original_back() -> None:
    found = run(pruned(), -1.2)
    assert (found.status, found.final, found.reason) == ("gave_up", TEXT, "the answer became too unlikely")
    assert found.num_tokens_after == found.num_tokens_before
    assert found.given_back == (2,)
    assert found.support_after_nats_per_token == pytest.approx(-1.0)
    assert run(pruned(), -1.2, max_loss_nats_per_token=0.3).status == "passed"


def test_a_statement_of_the_answer_supports_nothing() -> None:
    """A tail that restates the answer makes it likely; without the statement it does not."""
    trace = segmented("Add.\n\n2 + 3 makes it.\n\nSo the answer is 5.")
    decisions = (Decision(0, "keep", "-"), Decision(1, "delete", "-", 1.0), Decision(2, "keep", "-"))
    tail = version(trace, decisions)
    likely = lambda text: -0.01 if "answer is 5." in text or "2 + 3" in text else -2.0  # noqa: E731
    found, texts = conclude(tail, likely, coherence=False)
    assert isinstance(found, Seen)
    assert (found.status, found.final) == ("gave_up", trace.thinking)
    assert found.answer_loglik_pruned_nats_per_token == pytest.approx(-0.01)
    assert "Add.\n\nThe final answer is \\boxed{5}." in texts
    assert not any("answer is 5" in text for text in texts[4:6])


def test_what_is_given_back_is_measured_without_its_statements() -> None:
    """A step that comes back and only states the answer is no help."""
    trace = segmented("Add.\n\nSo it is 5.\n\n2 + 3 makes it.\n\nGood.\n\nSo the answer is 5.")
    scores = (None, 3.0, 2.0, 1.0, None)
    steps = tuple(
        Decision(n, "keep", "-") if s is None else Decision(n, "delete", "-", s) for n, s in enumerate(scores)
    )
    likely = lambda text: -0.01 if "is 5." in text or "2 + 3" in text else -2.0  # noqa: E731
    found, _ = conclude(version(trace, steps), likely, coherence=False)
    assert isinstance(found, Seen)
    assert (found.status, found.given_back) == ("rolled_back", (1, 2))


def test_a_version_with_steps_given_back_has_to_parse_too() -> None:
    trace = segmented("Add.\n\n2 + 3 makes it.\n\nGood.\n\nSo the answer is 5.")
    steps = (
        Decision(0, "keep", "-"),
        Decision(1, "delete", "-", 2.0),
        Decision(2, "rewrite", "-", 1.0, "</think>\n\n"),
        Decision(3, "keep", "-"),
    )
    found, _ = conclude(version(trace, steps), lambda _: -1.0)
    assert isinstance(found, Seen)
    assert (found.status, found.final) == ("gave_up", trace.thinking)


def shortened(thinking: str = "Add.\n\n2 + 3 makes it.\n\nGood.", gone: tuple[int, ...] = (1,)) -> Version:
    """The steps in `gone` deleted, the later ones with the lower scores."""
    trace = segmented(thinking)
    steps = range(len(trace.steps))
    return version(trace, tuple(Decision(n, "delete" if n in gone else "keep", "-", -float(n)) for n in steps))


@pytest.mark.parametrize(
    ("before", "without", "after", "status"),
    [
        (-1.0, -3.0, -1.09, "passed"),  # no more than 0.1 less than after the original
        (-1.0, -3.0, -1.11, "gave_up"),
        (-1.0, -1.15, -1.06, "gave_up"),  # hardly more than no thinking gives
        (-1.0, -1.15, -1.04, "passed"),
        (-1.0, -1.05, -1.0, "gave_up"),  # as is the original, so only what is better than it can be shown to hold
        (-1.0, -1.05, -0.94, "passed"),
        (-1.0, -1.0, -1.0, "gave_up"),  # nothing left, say
        (-3.0, -1.0, -1.0, "gave_up"),  # the original misleads: any deletion would make the answer likelier
        (-3.0, -1.0, -0.91, "gave_up"),
        (-3.0, -1.0, -0.89, "passed"),
        (-0.01, -0.02, -0.05, "passed"),  # nearly sure, with thinking and without
        (-0.01, -0.02, -0.12, "gave_up"),
        (-0.5, -0.15, -0.09, "passed"),  # nearly sure is enough: 0.1 above -0.15 would be more
        (-0.5, -0.15, -0.11, "gave_up"),
    ],
)
def test_pruned_thinking_supports_the_answer_as_the_original_does_and_better_than_none(
    before: float, without: float, after: float, status: str
) -> None:
    trace = shortened()
    likely = lambda text: without if text.startswith("The final") else before if "2 + 3" in text else after  # noqa: E731
    found, _ = conclude(trace, likely)
    assert isinstance(found, Seen)
    assert (found.status, found.supported) == (status, before > without)
    reason = (
        "the answer became too unlikely" if after < before - 0.1 else "not clearly likelier than without any thinking"
    )
    assert reason in found.reason or status == "passed"
    assert found.final == (trace.proposed if status == "passed" else trace.trace.thinking)
    assert (found.given_back == (1,)) == (status == "gave_up")
    whole, _ = conclude(shortened(gone=()), likely)
    assert isinstance(whole, Seen)
    assert whole.status == "passed"


@pytest.mark.parametrize("max_loss", [0.0, 0.1])
@given(before=st.floats(-5, 0), without=st.floats(-5, 0))
def test_what_is_no_likelier_than_without_thinking_never_passes(max_loss: float, before: float, without: float) -> None:
    """But where the answer is nearly sure; and a better original asks for no less."""
    least = Measured(before, math.nan, without).least(max_loss)
    assert least > without or without >= -max_loss
    assert least >= before - max_loss
    assert least <= 0
    assert Measured(before + 0.01, math.nan, without).least(max_loss) >= least


@pytest.mark.parametrize("num_deleted", [2, 4, 8, 16, 32])
def test_where_the_original_does_not_hold_one_step_after_the_other_is_given_back(num_deleted: int) -> None:
    """More than a quarter of what was deleted leads away from the answer again: bisection would look only there."""
    paragraphs = ["Go.", *(f"word{n} here." for n in range(num_deleted))]
    trace = shortened("\n\n".join(paragraphs), tuple(range(1, num_deleted + 1)))

    def likely(text: str) -> float:
        given = text.count("word")
        if text.startswith("The final"):
            return -1.0
        return -1.05 if not given else -0.1 if given <= max(1, num_deleted // 4) else -2.0

    found, _ = conclude(trace, likely)
    assert isinstance(found, Seen)
    assert (found.status, found.given_back) == ("rolled_back", (1,))
    assert found.num_checks <= 1 + math.log2(num_deleted + 1)


@pytest.mark.parametrize("before", [math.nan, -math.inf])
def test_an_original_that_cannot_be_measured_passes_nothing(before: float) -> None:
    trace = shortened()
    found, _ = conclude(trace, lambda text: before if "2 + 3" in text else -0.1)
    assert isinstance(found, Seen)
    assert (found.status, found.final) == ("gave_up", trace.trace.thinking)
    assert (found.reason, found.num_checks) == ("how likely the answer is cannot be measured", 1)


def test_steps_that_support_the_answer_are_given_back_where_the_original_misleads() -> None:
    shorter = shortened("Add.\n\n2 + 3 makes it.\n\nOr 2 - 3.\n\nGood.", (1, 2))
    likely = lambda text: -3.0 if "2 - 3" in text else -0.1 if "2 + 3" in text else -1.0  # noqa: E731
    found, _ = conclude(shorter, likely)
    assert isinstance(found, Seen)
    assert (found.status, found.given_back, found.support_after_nats_per_token) == (
        "rolled_back",
        (1,),
        pytest.approx(-0.1),
    )


STEPS = "\n\n".join(f"word{number} here" for number in range(16))


@pytest.mark.parametrize("needed", [{14}, {3, 9}, {2}, set(range(2, 16)), {7, 8, 9, 10, 11}])
def test_steps_are_given_back_highest_score_first_by_bisection(needed: set[int]) -> None:
    """All but two steps are deleted; the answer is likely where the steps in `needed` are there."""
    trace = segmented(STEPS)
    lots = [0.0, 0.0, *(float((number * 7) % 14) for number in range(14))]
    decisions = tuple(
        Decision(number, "keep" if number < 2 else "delete", "-", lots[number]) for number in range(len(trace.steps))
    )
    by_score = sorted(range(2, 16), key=lambda number: -lots[number])
    wanted = max(by_score.index(number) for number in needed) + 1
    found, texts = conclude(
        version(trace, decisions), lambda text: -1.0 if all(f"word{n} " in text for n in needed) else -4.0
    )
    assert isinstance(found, Seen)
    given = tuple(sorted(by_score[: len(found.given_back)]))
    assert found.given_back == given
    assert wanted <= len(given) <= wanted + 1  # the bound on checks may leave one more than was needed
    assert found.num_checks <= 1 + math.log2(16)
    assert found.status == ("gave_up" if len(given) == 14 else "rolled_back")
    assert found.final == joined(trace.thinking, trace.steps, decisions, given)
    assert found.num_tokens_after == len(found.final)
    assert texts[-1] == found.final or found.status == "gave_up"


@given(st.integers(1, 40), st.integers(0, 40), st.randoms())
def test_bisection_finds_a_version_that_holds_in_few_checks(num_deleted: int, wanted: int, lots: Random) -> None:
    trace = segmented("\n\n".join(f"word{number} here" for number in range(num_deleted + 1)))
    scores_of = [math.nan, *(lots.choice([math.nan, 1.0, 2.0, 3.0]) for _ in range(num_deleted))]
    decisions = tuple(Decision(n, "delete" if n else "keep", "-", scores_of[n]) for n in range(num_deleted + 1))
    found, _ = conclude(
        version(trace, decisions), lambda text: -1.0 if text.count("word") > min(wanted, num_deleted) else -4.0
    )
    assert isinstance(found, Seen)
    assert found.num_checks <= 1 + math.log2(num_deleted + 1)
    assert found.final.count("word") > min(wanted, num_deleted)
    ranked = sorted(range(1, num_deleted + 1), key=lambda n: (math.isnan(scores_of[n]), -scores_of[n], n))
    assert found.given_back == tuple(sorted(ranked[: len(found.given_back)]))


def test_steps_that_were_rewritten_as_one_come_back_together() -> None:
    trace = segmented("a b.\n\nc d.\n\ne f.\n\ng h.")
    decisions = (
        Decision(0, "keep", "-"),
        Decision(1, "rewrite", "-", 2.0, "cdef.\n\n"),
        Decision(2, "merge", "-"),
        Decision(3, "delete", "-", 3.0),
    )
    found, _ = conclude(version(trace, decisions), lambda text: -1.0 if "c d" in text else -4.0)
    assert isinstance(found, Seen)
    assert (found.status, found.given_back, found.final) == ("gave_up", (1, 2, 3), trace.thinking)
    found, _ = conclude(version(trace, decisions), lambda text: -1.0 if "g h" in text else -4.0)
    assert isinstance(found, Seen)
    assert (found.status, found.given_back, found.final) == ("rolled_back", (3,), "a b.\n\ncdef.\n\ng h.")


def test_completions_have_to_be_right_often_enough() -> None:
    assert math.isnan(run(pruned(), -1.0).completion_rate)
    found = run(pruned(), -1.0, completions=4)
    assert (found.status, found.completion_rate) == ("passed", 1.0)
    found = run(pruned(), -1.0, right="7", completions=4)
    assert (found.status, found.reason) == ("gave_up", "too few completions are right")
    found = run(pruned(), -1.0, right=("7", "5", "7", "5"), completions=4)  # min_rate: 0.5
    assert (found.status, found.completion_rate) == ("passed", 0.5)
    kept = version(segmented(TEXT), tuple(Decision(number, "keep", "-") for number in range(3)))
    found, _ = conclude(kept, lambda _: -1.0, "7", completions=4)
    assert isinstance(found, Seen)
    assert (found.status, found.completion_rate) == ("gave_up", 0.0)
    assert found.reason == "too few completions are right, and nothing was deleted"
    trace, begun = segmented("2 + 3 makes it.\n\nSo the answer is 5."), []
    talk = dialogue(version(trace, (Decision(0, "keep", "-"), Decision(1, "keep", "-"))), Config(completions=2))

    def answer(request: Any) -> Response:
        if isinstance(request, ScoreRequest):
            return scores(request.text, -1.0)
        begun.append(request.begun)
        return Completion("5}", "stop", 1, 1)

    played(talk, answer)
    assert len(begun) == 2
    assert all("2 + 3" in one and "answer is 5" not in one for one in begun)
    requests = next(dialogue(pruned(), Config()))
    assert not any(isinstance(request, GenerateRequest) for request in requests)


def test_a_wrong_original_is_marked_not_hidden() -> None:
    found = run(pruned("7"), -1.0)
    assert (found.status, found.outcome, found.final) == ("original_fails", "incorrect", TEXT)


def test_an_original_that_does_not_parse_as_training_would_see_it_is_marked() -> None:
    broken = shortened("Add.\n\n2 + 3 makes it.</think>\n\nGood.")
    found, _ = conclude(broken, lambda text: -3.0 if text.startswith("The final") else -1.0)
    assert isinstance(found, Seen)
    assert (found.status, found.outcome) == ("original_fails", "undecided")


def test_pruned_text_that_breaks_the_tags_rolls_back() -> None:
    kept = pruned()
    decisions = (*kept.pruned.decisions[:2], Decision(2, "rewrite", "shorter", text="so</think>it is \\boxed{9}"))
    broken = version(kept.trace, decisions)
    found = run(broken, -1.0)
    assert (found.status, found.reason, found.final) == (
        "gave_up",
        "the pruned trace does not parse as training would see it",
        TEXT,
    )


def test_the_mean_log_probability_is_of_what_goes_on() -> None:
    assert run(pruned(), -0.5).mean_logprob_after_nats_per_token == pytest.approx(-0.5)
    assert run(pruned(), -2.0).mean_logprob_after_nats_per_token == pytest.approx(-1.0)  # rolled back
    empty = version(replace(segmented(TEXT), thinking="", steps=()), ())
    found, _ = conclude(empty, lambda _: -1.0)
    assert isinstance(found, Seen)
    assert math.isnan(found.mean_logprob_after_nats_per_token)


def test_a_response_without_an_answer_has_no_likelihoods() -> None:
    trace = saying(pruned(), " ", problem("", "text"))
    found, texts = conclude(trace, lambda _: -1.0)
    assert len(texts) == 2
    assert isinstance(found, Seen)
    assert math.isnan(found.answer_loglik_before_nats_per_token)
    assert (found.status, found.supported) == ("original_fails", False)


def test_the_reference_is_measured_where_the_response_does_not_state_an_answer_by_itself() -> None:
    trace = saying(pruned(), "So she has 5 apples left in her basket at the very end of it.")
    found, texts = conclude(trace, lambda text: -3.0 if text.startswith("The final") else -1.0)
    assert isinstance(found, Seen)
    assert (found.status, texts[-1]) == ("passed", "The final answer is \\boxed{5}.")


def test_what_cannot_be_measured_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.recheck.measured_answer", lambda trace: "")
    found, _ = conclude(pruned(), lambda _: -1.0)
    assert isinstance(found, Seen)
    assert (found.status, found.reason) == ("gave_up", "how likely the answer is cannot be measured")
    (whole,) = prune(
        PruneInput(segmented(TEXT, given=problem("5", question=QUESTION))), "keep_all", METHODS["keep_all"].Config()
    )
    assert isinstance(whole, Pruned)
    found, _ = conclude(replace(pruned(), pruned=whole), lambda _: -1.0)
    assert isinstance(found, Seen)
    assert found.status == "passed"


def test_the_response_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing is what costs; original and pruned trace have the same response, as have the versions of all methods."""
    _judged.cache_clear()
    judged: list[str] = []

    def count(response: str, *others: Any) -> Any:
        judged.append(response)
        return judge_response(response, *others)

    monkeypatch.setattr("transforms.recheck.judge_response", count)
    assert run(pruned(), -1.0).status == run(pruned(), -1.1).status == "passed"
    assert judged == ["So it is \\boxed{5}."]


def test_without_a_reference_the_traces_own_answer_has_to_stay() -> None:
    found = run(pruned(""), -1.05)
    assert (found.status, found.outcome, found.problem.answer) == ("passed", "correct", "")
    assert run(pruned(""), -1.2).status == "gave_up"
    silent = saying(pruned(""), "I am done.\nGood bye.", problem("", "text"))
    assert run(silent, -1.0).status == "original_fails"


def test_what_is_checked_against() -> None:
    assert checkable(problem("7"), "So it is \\boxed{5}.").answer == "7"
    assert checkable(problem(""), "So it is \\boxed{5}.").answer == "5"
    assert checkable(problem(""), "").answer == ""
    tests = CodeTests(asserts=("assert f(2) == 3",))
    assert checkable(problem("", "code", tests=tests), "```python\ndef f(x): ...\n```").answer == ""


def test_a_failure_is_a_drop() -> None:
    answers = iter([scores("x", -1.0)])
    found = played(dialogue(pruned(), Config()), lambda _: next(answers, Failure("too_long", "5000 tokens")))
    assert isinstance(found, Drop)
    assert found.reason == "too_long"


LEFT = problem("7", question="Tom has 3 boxes of 4 pens and loses 5. How many are left?")
WORKING = ["3 × 4 = 12.", "He loses 5.", "12 − 5 = 7.", "So 7.", "Good."]


def leaping(*gone: int, steps: list[str] = WORKING, rewritten: dict[int, str] | None = None) -> Version:
    """The working without some of its steps, as a method may leave it; later ones have the higher scores."""
    trace = segmented("\n\n".join(steps), "So \\boxed{7}.", LEFT, prompt=LEFT.question)
    texts = rewritten or {}
    decisions = tuple(
        Decision(
            step,
            "delete" if step in gone else "rewrite" if step in texts else "keep",
            "short",
            float(step),
            texts.get(step, ""),
        )
        for step in range(len(steps))
    )
    return version(trace, decisions, "asap")


def test_a_value_without_its_derivation_comes_back() -> None:
    found = run(leaping(0, 4), -1.0)
    assert (found.status, found.reason, found.given_back, found.mended) == ("mended", "", (0,), (0,))
    assert found.dangling == (Edge(2, "value", "12", 0),)
    assert found.final == "3 × 4 = 12.\n\nHe loses 5.\n\n12 − 5 = 7.\n\nSo 7.\n\n"
    assert found.support_after_nats_per_token == pytest.approx(-1.0)
    assert found.num_tokens_after > found.num_tokens_pruned


def test_coherence_can_be_left_out() -> None:
    found = run(leaping(0, 4), -1.0, coherence=False)
    assert (found.status, found.given_back, found.dangling) == ("passed", (), ())


def test_what_a_restored_step_uses_comes_back_too() -> None:
    steps = ["3 × 4 = 12.", "12 × 11 = 132.", "132 − 125 = 7.", "So 7.", "Good."]
    found = run(leaping(0, 1, 4, steps=steps), -1.0)
    assert (found.status, found.mended, found.given_back) == ("mended", (0, 1), (0, 1))


def test_where_all_is_needed_it_is_the_original_again() -> None:
    found = run(leaping(0), -1.0)
    assert (found.status, found.reason, found.num_checks) == (
        "gave_up",
        "each removed step is needed by one that stays",
        0,
    )
    assert (found.mended, found.final) == ((0,), found.thinking)


def test_a_mended_version_that_does_not_hold_rolls_back_further() -> None:
    def likely(text: str) -> float:
        return -3.0 if text.startswith("The final") else -1.0 if "Good" in text else -2.0

    found, _ = conclude(leaping(0, 1, 3, 4), likely)
    assert isinstance(found, Seen)
    assert (found.status, found.mended) == ("rolled_back", (0,))
    assert found.given_back == (0, 4)


def test_each_version_of_the_search_is_coherent() -> None:
    """Whatever comes back, what it uses comes back with it."""
    steps = ["3 × 4 = 12.", "12 × 11 = 132.", "132 − 125 = 7.", *["Hm."] * 5, "132 it was.", "So 7."]
    for wanted in range(len(steps)):
        found, _ = conclude(
            leaping(*range(9), steps=steps),
            lambda text, wanted=wanted: -3.0 if text.startswith("The final") or text.count("\n\n") < wanted else -1.0,  # type: ignore[misc]
        )
        assert isinstance(found, Seen)
        stays = staying([step.text(found.thinking) for step in found.steps], found.decisions, found.given_back)
        assert flow_of(found.version.trace).edges(stays) == []


def test_a_rewrite_that_loses_what_is_used_is_taken_back() -> None:
    found = run(leaping(4, rewritten={0: "Multiply.\n\n"}), -1.0)
    assert (found.status, found.given_back, found.dangling) == ("mended", (0,), (Edge(2, "value", "12", 0),))


def test_merged_steps_come_back_together() -> None:
    given = leaping(4)
    first, second, *others = given.pruned.decisions
    merged = (replace(first, action="rewrite", text="Multiply.\n\n"), replace(second, action="merge"), *others)
    assert run(version(given.trace, merged), -1.0).given_back == (0, 1)


def test_steps_that_are_merged_and_lose_a_derivation_come_back() -> None:
    given = leaping(4)
    texts = ("So 12 − 5 = 7.\n\n", "", "")
    first = [
        replace(one, action="merge" if one.step else "rewrite", text=text)
        for one, text in zip(given.pruned.decisions, texts, strict=False)
    ]
    found = run(version(given.trace, (*first, *given.pruned.decisions[3:])), -1.0)
    assert (found.status, found.mended, found.dangling) == ("mended", (0, 1, 2), (Edge(0, "value", "12", 0),))


def test_arithmetic_is_of_what_goes_on_and_of_the_response() -> None:
    steps = ["3 × 4 = 12.", "12 − 5 = 7.", "Check: 7 + 5 = 13.", "So 7."]
    assert run(leaping(steps=steps), -1.0).arithmetic == Arithmetic(
        num_true=2, num_false=1, false_equations=("7 + 5 = 13",)
    )
    assert run(leaping(2, steps=steps), -1.0).arithmetic == Arithmetic(num_true=2)
    wrong = saying(leaping(2, steps=steps), "As 2 + 2 = 5, \\boxed{7}.")
    assert run(wrong, -1.0).arithmetic.false_equations == ("2 + 2 = 5",)
    corrected = [*steps[:3], "No, 7 + 5 = 12.", "So 7."]
    assert run(leaping(steps=corrected), -1.0).arithmetic.num_corrected == 1
    assert run(leaping(3, steps=corrected), -1.0).arithmetic.num_false == 1  # its correction is gone


@given(st.sets(st.integers(0, 3)))
def test_a_prefix_is_never_mended(gone: set[int]) -> None:
    first = min(gone, default=5)
    assert run(leaping(*range(first, 5)), -1.0).mended == ()
