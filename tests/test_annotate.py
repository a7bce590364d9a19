"""What the teacher is asked of the steps, and what is made of its answers."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import segmented
from transforms.annotate import (
    QUESTIONS,
    Config,
    degenerate,
    degenerate_opinions,
    dialogue,
    label_counts,
    not_asked,
    to_rewrite,
    windows,
)
from transforms.core.drops import Drop
from transforms.core.records import Annotations, Opinion, SegmentedTrace, Step
from transforms.inference.fake import FakeEngine
from transforms.inference.models import FakeModel
from transforms.inference.requests import Completion, Exchange, Failure, GenerateRequest, ScoreRequest, TokenScores
from transforms.inference.structured import checked

TEXT = "\n\n".join(f"step number {number} says $x_{number}$" for number in range(1, 11))
SMALL = Config(window_steps=4, overlap_steps=2)


def ask(
    trace: SegmentedTrace,
    answer: Callable[[Any], Any],
    config: Config = SMALL,
    wanted: tuple[str, ...] = ("actions", "path", "rewrites"),
) -> tuple[Annotations | Drop, list[Any]]:
    """The dialogue with a teacher, and all that it was asked."""
    talk, requests = dialogue(trace, config, "teacher", wanted), []
    try:
        asked = next(talk)
        while True:
            requests += asked
            asked = talk.send([Exchange(request, checked(request, answer(request))) for request in asked])
    except StopIteration as end:
        return end.value, requests


def said(text: str) -> Completion:
    return Completion(text, "stop", 1, 1)


def teacher(actions: Callable[[int], str], paths: Callable[[int], str] = lambda _: "core") -> Callable[[Any], Any]:
    """Answers structured questions, about the n-th step (from 1) as told."""

    def answer(request: Any) -> Completion:
        assert isinstance(request, GenerateRequest)
        schema = json.loads(request.schema) if request.schema else {}
        names = list(schema.get("properties", {}))
        if not schema:
            return said("2 + 3 = 5")
        if names == ["text"]:
            return said(json.dumps({"text": " shorter "}))
        if "enum" in schema["properties"][names[0]]:
            return said(json.dumps({name: paths(int(name)) for name in names}))
        return said(json.dumps({name: {"skill": "adding", "action": actions(int(name))} for name in names}))

    return answer


def test_every_step_gets_one_action_in_overlapping_windows() -> None:
    order = ["keep", "delete", "compress", "merge", "merge"] * 2
    found, requests = ask(
        segmented(TEXT, "So \\boxed{77}."), teacher(lambda n: order[n - 1], lambda n: "aside" if n == 3 else "core")
    )
    assert isinstance(found, Annotations)
    assert [opinion.action for opinion in found.opinions] == order
    assert {opinion.skill for opinion in found.opinions} == {"adding"}
    assert [n for n, opinion in enumerate(found.opinions, 1) if opinion.path == "aside"] == [3]
    assert (found.way, found.solution, found.num_undecided) == ("structured", "2 + 3 = 5", 0)
    assert [(one.first, one.last) for one in found.rewrites] == [(2, 2), (3, 4), (7, 7), (8, 9)]
    assert [one.text for one in found.rewrites] == ["shorter\n\n"] * 3 + ["shorter"]
    assert len(found.prompts) == 16
    shown = [request for request in requests if request.schema and '"skill"' in request.schema]
    assert [list(json.loads(request.schema)["properties"]) for request in shown] == [
        ["1", "2", "3", "4"], ["3", "4", "5", "6"], ["5", "6", "7", "8"], ["7", "8", "9", "10"],
    ]  # fmt: skip
    first = shown[0].messages[0].content
    assert "[4] step number 4 says $x_4$" in first  # dollars of the text are no places of the template
    assert "[5]" not in first
    assert "steps 1 to 4 (of 10)" in first


def test_only_what_is_wanted_is_asked() -> None:
    found, requests = ask(segmented(TEXT), teacher(lambda _: "keep"), wanted=("actions",))
    assert isinstance(found, Annotations)
    assert not any("Short solution" in request.messages[0].content for request in requests)
    assert {opinion.path for opinion in found.opinions} == {""}
    found, requests = ask(segmented(TEXT), teacher(lambda _: "merge"), wanted=("path",))
    assert isinstance(found, Annotations)
    assert {opinion.action for opinion in found.opinions} == {""}
    assert found.rewrites == ()
    (nothing,) = not_asked(segmented(TEXT))
    assert nothing == Annotations("p-0/0", "")
    assert ask(segmented(TEXT), teacher(lambda _: "keep"), wanted=())[1] == []


def test_protected_steps_are_not_rewritten_and_rewrites_keep_their_white_space() -> None:
    found, _ = ask(segmented("a\n\nb\n\nc"), teacher(lambda _: "merge"))
    assert isinstance(found, Annotations)
    assert [(one.first, one.last) for one in found.rewrites] == [(1, 2)]  # the first step stays as it is
    trace = segmented("First we add;  then we go on;  so it is 5")
    places = [(0, 13), (13, 29), (29, 41)]
    trace = replace(trace, steps=tuple(Step(start, end, "prose") for start, end in places))
    found, _ = ask(trace, teacher(lambda _: "compress"))
    assert isinstance(found, Annotations)
    assert [one.text for one in found.rewrites] == ["  shorter"]
    found, _ = ask(segmented(TEXT), teacher(lambda _: "merge"), wanted=("actions",))
    assert isinstance(found, Annotations)
    assert found.rewrites == ()


def test_windows_that_disagree_do_not_decide() -> None:
    calls: list[int] = []

    def turncoat(number: int) -> str:
        calls.append(number)
        return "delete" if calls.count(number) == 1 else "compress"

    found, _ = ask(segmented(TEXT), teacher(turncoat), wanted=("actions",))
    assert isinstance(found, Annotations)
    twice = [3, 4, 5, 6, 7, 8]
    assert [n for n, opinion in enumerate(found.opinions, 1) if opinion.action == "keep"] == twice
    assert found.num_undecided == len(twice)


@pytest.mark.parametrize("kind", ["not_json", "too_long", "bad_response"])
def test_what_is_not_answered_as_asked_is_kept(kind: Any) -> None:
    """The published code reads whatever comes: cut answers, missing markers."""
    found, _ = ask(segmented(TEXT), lambda _: Failure(kind, "cut"))
    assert isinstance(found, Annotations)
    assert {(opinion.action, opinion.path) for opinion in found.opinions} == {("keep", "core")}
    assert found.num_undecided == 10
    assert (found.solution, found.rewrites) == ("", ())


def test_an_answer_that_is_cut_or_misses_a_step_is_not_json() -> None:
    whole = teacher(lambda _: "delete")
    for spoil in (
        lambda text: text[:-9],
        lambda text: json.dumps({"1": json.loads(text)["1"]}),
        lambda _: "[no ## result found]",
        lambda text: text.replace("adding", "ad\\ud83d"),  # half a pair is JSON, but no text
    ):
        found, _ = ask(
            segmented("a\n\nb"), lambda request, spoil=spoil: said(spoil(whole(request).text)), wanted=("actions",)
        )
        assert isinstance(found, Annotations)
        assert [opinion.action for opinion in found.opinions] == ["keep", "keep"]
        assert found.num_undecided == 2


def test_half_a_surrogate_pair_in_the_solution_is_replaced() -> None:
    found, _ = ask(segmented("a\n\nb"), lambda _: said("5 \ud83d"), wanted=("path",))
    assert isinstance(found, Annotations)
    assert found.solution == "5 ?"


@pytest.mark.parametrize(
    "solution", [Completion("Step 1: 2 +", "length", 1, 1), Failure("too_long", "too long"), said(" ")]
)
def test_without_a_whole_solution_no_step_is_beside_it(solution: Any) -> None:
    whole = teacher(lambda _: "keep", lambda _: "aside")
    found, requests = ask(
        segmented(TEXT), lambda request: whole(request) if request.schema else solution, wanted=("path",)
    )
    assert isinstance(found, Annotations)
    assert len(requests) == 1
    assert {opinion.path for opinion in found.opinions} == {"core"}
    assert (found.solution, found.num_undecided) == ("", 10)


def test_the_path_is_asked_for_beside_the_solution_and_the_action_beside_the_response() -> None:
    _, requests = ask(segmented(TEXT, "So \\boxed{77}."), teacher(lambda _: "keep"), wanted=("actions", "path"))
    for request in requests:
        if request.schema:
            asks_for_actions = '"skill"' in request.schema
            assert ("\\boxed{77}" in request.messages[0].content) == asks_for_actions
            assert ("2 + 3 = 5" in request.messages[0].content) != asks_for_actions


def test_what_may_pass_is_asked_again_by_the_next_run() -> None:
    found, requests = ask(segmented(TEXT), lambda _: Failure("timeout", "too late"))
    assert isinstance(found, Drop)
    assert found.reason == "request_failed"
    assert len(requests) == 1


def prefers(label: str, strongly: float = 2.0) -> Callable[[Any], Any]:
    """A scorer that always finds "delete" likeliest, and `label` likelier than usual after the fifth step."""

    def answer(request: Any) -> Any:
        if isinstance(request, GenerateRequest):
            return said("2 + 3 = 5") if not request.schema else said('{"text": "shorter"}')
        ((start, end),) = request.spans
        value = {"delete": -0.1, "aside": -0.1}.get(request.text[start:end], -3.0)
        if request.text.startswith("Step 5") and request.text[start:end] == label:
            value += strongly
        return TokenScores((0, start), (start, end), (-9.0, value), (0.0, 0.0))

    return answer


def test_labels_are_compared_with_the_same_question_without_the_step() -> None:
    config = Config(opinions="likelihood", window_steps=4, overlap_steps=2)
    found, requests = ask(segmented(TEXT), prefers("compress"), config)
    assert isinstance(found, Annotations)
    fifth = found.opinions[4]
    assert fifth.action == "compress"  # although "delete" is the likeliest label there, too
    assert math.fsum(map(math.exp, fifth.action_scores_nats)) == pytest.approx(1, abs=1e-5)
    others = [opinion for number, opinion in enumerate(found.opinions) if number != 4]
    assert all(opinion.action_scores_nats == pytest.approx([math.log(1 / 4)] * 4, abs=1e-5) for opinion in others)
    assert {opinion.action for opinion in others} == {"keep"}  # nothing to choose by
    assert [opinion.path for opinion in found.opinions] == ["core"] * 10
    asked = [request for request in requests if isinstance(request, ScoreRequest)]
    assert len(asked) == 4 * (4 + 1) * (4 + 2)  # windows × (steps and none) × labels of both questions
    assert {request.text for request in asked if request.text.startswith("Step:")} == {
        f'Step: "…"\nAnswer: {label}' for question in QUESTIONS.values() for label in question.labels
    }


def test_scores_of_windows_are_averaged() -> None:
    """Step 3 is in two windows; the second is surer of its opinion than the first of another."""

    def answer(request: Any) -> Any:
        ((start, end),) = request.spans
        is_second = "[5]" in request.messages[0].content
        likes = {"delete": 3.0} if is_second else {"merge": 1.0}
        value = -3.0 + (likes.get(request.text[start:end], 0.0) if request.text.startswith("Step 3") else 0.0)
        return TokenScores((0, start), (start, end), (-9.0, value), (0.0, 0.0))

    config = Config(opinions="likelihood", window_steps=4, overlap_steps=2)
    found, _ = ask(segmented(TEXT), answer, config, ("actions",))
    assert isinstance(found, Annotations)
    assert found.opinions[2].action == "delete"
    by_window = [[value - math.log(sum(map(math.exp, row))) for value in row] for row in ([0, 0, 0, 1], [0, 3, 0, 0])]
    means = [sum(column) / 2 for column in zip(*by_window, strict=True)]
    assert found.opinions[2].action_scores_nats == pytest.approx(means, abs=1e-5)


def test_there_is_room_for_an_answer_and_it_is_sampled_as_told() -> None:
    _, requests = ask(segmented(TEXT), teacher(lambda _: "compress"), Config(temperature=0.5, max_tokens=99))
    assert {request.sampling.temperature for request in requests} == {0.5}
    for request in requests:
        asked = json.loads(request.schema).get("properties", {}) if request.schema else {}
        if not asked or list(asked) == ["text"]:
            assert request.sampling.max_tokens == 99
        else:  # a skill of 30 characters a step at the most
            assert request.sampling.max_tokens >= 40 * len(asked)


def test_the_short_solution_is_asked_for_with_the_answer_alone() -> None:
    _, requests = ask(segmented(TEXT, "I add 14 and 63. So \\boxed{77}."), teacher(lambda _: "keep"), wanted=("path",))
    assert "77" in requests[0].messages[0].content
    assert "14 and 63" not in requests[0].messages[0].content


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 19))
def test_windows_cover_all_steps_and_move_on(num_steps: int, size: int, overlap: int) -> None:
    overlap = min(overlap, size - 1)
    found = list(windows(num_steps, Config(window_steps=size, overlap_steps=overlap)))
    assert sorted({step for window in found for step in window}) == list(range(num_steps))
    assert all(len(window) <= size for window in found)
    assert all(second.start - first.start == size - overlap for first, second in itertools.pairwise(found))


@given(st.lists(st.sampled_from(["keep", "delete", "compress", "merge"]), max_size=20))
def test_runs_to_merge_are_rewritten_as_one(actions: list[str]) -> None:
    parts = list(to_rewrite(actions))
    assert [step for part in parts for step in part] == [n for n, a in enumerate(actions) if a in ("compress", "merge")]
    assert all(len(part) == 1 or {actions[step] for step in part} == {"merge"} for part in parts)
    assert all(
        first.stop < second.start or actions[first[-1]] != "merge" or actions[second[0]] != "merge"
        for first, second in itertools.pairwise(parts)
    )


@pytest.mark.parametrize("way", ["structured", "likelihood"])
@given(text=st.text(min_size=1).filter(str.strip))
def test_any_text_can_be_asked_about(way: Any, text: str) -> None:
    engine = FakeEngine(FakeModel(engine="fake"))
    found, _ = ask(segmented(text), lambda request: next(engine.run([request]))[1], Config(opinions=way))
    assert isinstance(found, Annotations)
    assert len(found.opinions) == len(segmented(text).steps)
    assert {opinion.action for opinion in found.opinions} <= set(QUESTIONS["actions"].labels)
    assert found.num_undecided == 0


def test_long_steps_are_shown_by_their_ends() -> None:
    found, requests = ask(
        segmented("a" * 3000 + " end"), teacher(lambda _: "keep"), Config(max_step_chars=100), ("actions",)
    )
    assert isinstance(found, Annotations)
    prompt = requests[0].messages[0].content
    assert "[1] " + "a" * 47 + " […] " in prompt
    assert "aaa end" in prompt
    assert "a" * 60 not in prompt


def test_degenerate_opinions_are_found() -> None:
    assert degenerate({"delete": 19, "keep": 1}) == "delete"
    assert degenerate({"delete": 18, "keep": 2}) == ""
    assert degenerate({"delete": 10}) == ""  # too few to tell
    assert degenerate({}) == ""
    same = [
        Annotations("a", "t", "structured", tuple(Opinion("delete", "", (), path) for path in ("core", "aside") * 20))
    ]
    assert label_counts(same) == {"actions": {"delete": 40}, "path": {"aside": 20, "core": 20}}
    assert degenerate_opinions(label_counts(same)) == {"actions": "delete"}
    assert label_counts([Annotations("a", "t")]) == {}


@pytest.mark.parametrize("way", ["structured", "likelihood"])
def test_a_trace_without_steps_is_not_asked_about(way: Any) -> None:
    empty = replace(segmented("a"), thinking="", steps=())
    found, requests = ask(empty, teacher(lambda _: "keep"), Config(opinions=way), ("actions",))
    assert isinstance(found, Annotations)
    assert (found.opinions, requests) == ((), [])
