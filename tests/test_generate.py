"""Samples, second attempts and more samples: what is asked, in which rounds, and what becomes of each sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.builders import problem
from transforms.core.drops import Drop
from transforms.core.records import Problem, Trace
from transforms.generate import Config, dialogue
from transforms.inference.dialogue import Work
from transforms.inference.dialogue import play as play_all
from transforms.inference.requests import Completion, Exchange, Failure, GenerateRequest, Response, Sampling
from transforms.inference.structured import checked, in_prompt, without_fence
from transforms.judging import Config as Verify
from transforms.judging import judge_responses
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

PROBLEM = problem("5")
RIGHT = Completion("2 + 3 = 5.\n\nSo it is \\boxed{5}.", "stop", 9, 12)
WRONG = Completion("2 + 3 = 6.\n\nSo it is \\boxed{6}.", "stop", 9, 12)
CUT = Completion("2 + 3 = ", "length", 9, 12)
EMPTY = Completion(" ", "stop", 9, 1)
FAILED = Failure("timeout", "no answer")


def play(
    answers: list[list[Response]], given: Problem = PROBLEM, **config: Any
) -> tuple[list[Trace | Drop], list[list[Any]]]:
    """What becomes of a problem whose requests are answered round by round, and what was asked in each round."""
    rounds: list[list[Any]] = []
    left = iter(answers)

    def respond(asked: list[Sequence[Any]]) -> list[list[Exchange]]:
        (row,) = asked
        if isinstance(row[0], Work):
            return [
                [
                    Exchange(one, done)
                    for one, done in zip(row, judge_responses([w.item for w in row], Verify()), strict=True)
                ]
            ]  # type: ignore[arg-type]
        rounds.append(list(row))
        return [[Exchange(one, response) for one, response in zip(row, next(left), strict=True)]]

    (found,) = play_all([dialogue(given, Config(**config), "m")], respond)
    assert not list(left)
    return found, rounds


def first_requests(**config: Any) -> list[Any]:
    """What is asked for a problem at first."""
    return list(next(dialogue(PROBLEM, Config(**config), "m")))


def kinds(found: list[Trace | Drop]) -> list[str]:
    return ["trace" if isinstance(row, Trace) else row.reason for row in found]


def test_one_request_a_sample_and_one_outcome_each() -> None:
    found, rounds = play([[RIGHT, CUT, EMPTY, FAILED]], samples_per_problem=4)
    assert kinds(found) == ["trace", "truncated", "empty_text", "request_failed"]
    assert [row.id for row in found] == [f"p-0/{n}" for n in range(4)]
    assert [request.sample for request in rounds[0]] == [0, 1, 2, 3]


def test_what_was_cut_is_asked_again_with_twice_the_room_up_to_the_bound() -> None:
    settings = {
        "samples_per_problem": 2,
        "sampling": Sampling(max_tokens=100),
        "on_length": "retry",
        "max_retry_tokens": 300,
    }
    found, rounds = play([[CUT, RIGHT], [CUT], [RIGHT]], **settings)
    assert [[(request.sample, request.sampling.max_tokens) for request in one] for one in rounds] == [
        [(0, 100), (1, 100)],
        [(0, 200)],
        [(0, 300)],
    ]
    assert kinds(found) == ["trace", "trace"]
    found, rounds = play([[CUT, RIGHT], [CUT], [CUT]], **settings)
    assert kinds(found) == ["truncated", "trace"]


def test_problems_without_a_correct_trace_get_more_samples_until_they_have_one() -> None:
    settings = {"samples_per_problem": 2, "resample_until": {"correct": 1, "max_samples": 5}}
    found, rounds = play([[WRONG, EMPTY], [WRONG, RIGHT]], **settings)
    assert [[request.sample for request in one] for one in rounds] == [[0, 1], [2, 3]]
    assert kinds(found) == ["trace", "empty_text", "trace", "trace"]
    found, rounds = play([[WRONG, WRONG], [WRONG, WRONG], [WRONG]], **settings)
    assert [[request.sample for request in one] for one in rounds] == [[0, 1], [2, 3], [4]]  # and no more
    assert play([[WRONG, RIGHT]], **settings)[1] == [first_requests(samples_per_problem=2)]


def test_a_sample_gets_its_room_before_the_problem_gets_samples() -> None:
    settings = {
        "samples_per_problem": 1, "sampling": Sampling(max_tokens=100), "on_length": "retry", "max_retry_tokens": 200,
        "resample_until": {"max_samples": 2},
    }  # fmt: skip
    found, rounds = play([[CUT], [WRONG], [RIGHT]], **settings)
    assert [[(r.sample, r.sampling.max_tokens) for r in one] for one in rounds] == [[(0, 100)], [(0, 200)], [(1, 100)]]
    assert kinds(found) == ["trace", "trace"]


def test_without_a_reference_there_is_nothing_to_resample_for() -> None:
    _, rounds = play([[WRONG, WRONG]], problem(""), samples_per_problem=2, resample_until={"max_samples": 8})
    assert len(rounds) == 1


LOOP = Completion("First, add. " + "Wait, let me check that again: 2 + 3 = 5, is it? " * 9, "length", 9, 99)


def test_a_trace_that_runs_in_circles_is_dropped_and_says_what_it_repeats() -> None:
    (found,), _ = play([[LOOP]], samples_per_problem=1)
    assert isinstance(found, Drop)
    assert found.reason == "repeated_loop"
    assert "8 times: " in found.detail or "9 times: " in found.detail
    assert kinds(play([[LOOP]], samples_per_problem=1, drop_loops=False)[0]) == ["truncated"]
    kept = Completion(LOOP.text + "So \\boxed{5}", "stop", 9, 99)
    assert kinds(play([[kept]], samples_per_problem=1)[0]) == [
        "repeated_loop"
    ]  # it found its way out, but is no example
    settings = {"sampling": Sampling(max_tokens=100), "on_length": "retry", "max_retry_tokens": 300}
    assert len(play([[LOOP]], samples_per_problem=1, **settings)[1]) == 1  # no more room for running in circles


def test_a_server_that_ends_an_answer_for_its_own_reasons() -> None:
    (found,), _ = play([[Completion("2 + 3", "content_filter", 9, 3)]], samples_per_problem=1)
    assert isinstance(found, Drop)
    assert (found.reason, found.detail) == ("request_failed", "the server ended it: content_filter")


def test_reasoning_beside_the_text_is_the_thinking() -> None:
    (found,), _ = play([[Completion("It is \\boxed{5}.", "stop", 9, 12, None, "2 + 3 = 5")]], samples_per_problem=1)
    assert isinstance(found, Trace)
    assert (found.thinking, found.response) == ("2 + 3 = 5", "It is \\boxed{5}.")
    assert (found.raw, found.raw_reasoning) == ("It is \\boxed{5}.", "2 + 3 = 5")


def test_resampling_in_a_whole_run_asks_only_for_what_is_unsolved(
    fake_params: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was asked before is never asked again."""
    log, paths = tmp_path / "asked", Paths(str(tmp_path / "data"))
    settings = [f"models.teacher={{engine: fake, accuracy: 0.4, log: {log}}}", "generate.samples_per_problem=2"]
    run_stage("ingest", Context(load(str(fake_params), settings), paths))
    run_stage("generate", Context(load(str(fake_params), settings), paths))
    assert log.read_text().count("\n") == 90
    settings.append("generate.resample_until={correct: 1, max_samples: 8}")
    (manifest,) = run_stage("generate", Context(load(str(fake_params), settings), paths))
    assert (
        f"{manifest['rows']['outcomes'] - 90} requests with more room or for unsolved problems"
        in capsys.readouterr().err
    )
    rows = list(read_rows(Trace, StageFolder(paths.stage("traces")).part_paths()))
    samples = Counter(row.problem.id for row in rows)
    solved = {row.problem.id for row in rows if f"\\boxed{{{row.problem.answer}}}" in row.response}
    assert set(samples.values()) == {2, 4, 6, 8}
    assert all(problem in solved or count == 8 for problem, count in samples.items())
    drops = list(read_rows(Drop, [StageFolder(paths.stage("traces")).drops_path()]))
    assert manifest["rows"]["outcomes"] == len(rows) + len(drops) == log.read_text().count("\n")
    assert len([drop for drop in drops if drop.id.startswith("gsm")]) == 5 * 8  # no sum there, so never solved
    run_stage("verify", Context(load(str(fake_params), settings), paths))


def test_retries_in_a_whole_run(fake_params: Path, tmp_path: Path) -> None:
    paths = Paths(str(tmp_path / "data"))
    settings = ["generate.sampling.max_tokens=16", "generate.on_length=retry", "generate.max_retry_tokens=64"]
    for stage in ("ingest", "generate"):
        (manifest,) = run_stage(stage, Context(load(str(fake_params), settings), paths))
    assert manifest["rows"]["outcomes"] == 45 * 3
    assert "truncated" not in manifest["rows"]["dropped"]


def test_a_schema_that_the_answer_does_not_fit_is_a_failure() -> None:
    schema = '{"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}'
    asked = GenerateRequest(first_requests()[0].messages, Sampling(), 0, schema)
    texts = ['{"a": "one"}', '{"a": 1', '{"b": 1}', "[" * 100_000]
    for text in texts:
        found = checked(asked, Completion(text, "stop", 1, 1))
        assert isinstance(found, Failure)
        assert found.kind == "not_json"
    good = Completion(without_fence('```json\n{"a": 1}\n```'), "stop", 1, 1)
    assert checked(asked, good) == good
    assert schema in in_prompt(asked).messages[-1].content
    assert checked(first_requests()[0], Completion("free", "stop", 1, 1)).text == "free"  # type: ignore[union-attr]
