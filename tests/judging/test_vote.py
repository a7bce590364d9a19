"""A majority where there is no reference: weights, ties, thresholds, and the whole stage on real parts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import problem
from tests.conftest import collect
from transforms import verify as stage
from transforms.core.records import Trace, Verdict
from transforms.judging import Config
from transforms.judging.vote import Ballot, Vote, count
from transforms.judging.vote import Config as VoteConfig
from transforms.shards.mapping import Job, MapShards, Shard
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows


def ballots(*answers: str, logprobs: tuple[float, ...] = (), texts: tuple[str, ...] = ()) -> list[Ballot]:
    return [
        Ballot(
            f"p/{number}",
            answer,
            logprobs[number] if logprobs else math.nan,
            (texts[number] if texts else str(number)).encode(),
            0,
            number,
        )
        for number, answer in enumerate(answers)
    ]


def same_number(one: str, other: str) -> bool:
    return float(one) == float(other)


def outcomes(found: list[tuple[Ballot, Vote]]) -> list[str]:
    return [vote.outcome.value for _, vote in found]


def test_equal_answers_are_one_candidate_and_the_majority_wins() -> None:
    found = count(ballots("12", "15", "12.0", ""), same_number, VoteConfig())
    assert outcomes(found) == ["correct", "incorrect", "correct", "undecided"]
    assert [vote.agreement for _, vote in found] == [0.5] * 4


@pytest.mark.parametrize(
    ("answers", "config", "reason"),
    [
        (("1", "2", "1", "2"), VoteConfig(), "a tie at 50%"),
        (("1", "2", "3", "1"), VoteConfig(min_agreement=0.6), "50% agree, verify.vote.min_agreement is 60%"),
        (("1", ""), VoteConfig(), "1 votes, verify.vote.min_votes is 2"),
        (("", ""), VoteConfig(), "no trace has an answer"),
    ],
)
def test_without_a_clear_winner_nothing_is_decided(answers: tuple[str, ...], config: VoteConfig, reason: str) -> None:
    found = count(ballots(*answers), same_number, config)
    assert outcomes(found) == ["undecided"] * len(answers)
    assert {vote.reason for _, vote in found} == {reason}


def test_probable_traces_weigh_more_and_equal_texts_once() -> None:
    likely, unlikely = math.log(0.9), math.log(0.2)
    given_ballots = ballots("1", "2", "2", logprobs=(likely, unlikely, unlikely), texts=("a", "b", "b"))
    found = count(given_ballots, same_number, VoteConfig())
    assert outcomes(found) == ["correct", "incorrect", "incorrect"]
    assert found[0][1].agreement == pytest.approx(0.9 / 1.1)
    assert outcomes(count(given_ballots, same_number, VoteConfig(weight="equal")))[0] == "incorrect"


def test_one_trace_without_log_probabilities_makes_all_weigh_the_same() -> None:
    found = count(ballots("1", "2", "2", logprobs=(-0.1, -3.0, math.nan)), same_number, VoteConfig())
    assert outcomes(found) == ["incorrect", "correct", "correct"]


@given(st.lists(st.sampled_from(["", "1", "2", "3"]), min_size=1, max_size=8), st.randoms())
def test_a_vote_does_not_depend_on_order(answers: list[str], random: object) -> None:
    given_ballots = ballots(*answers)
    shuffled = list(given_ballots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert count(shuffled, same_number, VoteConfig()) == count(given_ballots, same_number, VoteConfig())


def trace(name: str, answer: str, reference: str = "", kind: str = "math") -> Trace:
    of, _, sample = name.partition("/")
    given_problem = problem(reference, kind, id=of)
    response = f"So \\boxed{{{answer}}}." if answer else ""
    return Trace(name, given_problem, int(sample), "m", "?", f"{name} {response}", "t", response, "stop", 1, 1)


def verdicts(traces: list[list[Trace]], folder: Path, config: Config) -> dict[str, Verdict]:
    """The verdicts on traces in parts, by id."""
    from transforms.core import schema

    given_folder, out = StageFolder(str(folder / "traces")), StageFolder(str(folder / "verdicts"))
    given_folder.begin({})
    for number, part in enumerate(traces):
        given_folder.write(number, len(part), {"": schema.to_table(Trace, part)}, [])
    given_folder.finish({}, len(traces))
    out.begin({})
    shards = [Shard(number, (path,)) for number, path in enumerate(given_folder.part_paths())]
    job = Job("verify", Verdict, lambda shard: stage.judged_traces(shard, config), stage.verdict)
    prepared = stage.VoteOnAnswers(config) | MapShards(job, out.path) if config.reference == "vote" else None
    collect(prepared or MapShards(job, out.path), shards)
    out.finish({}, len(traces))
    return {row.id: row for row in read_rows(Verdict, out.part_paths())}


def test_a_vote_over_traces_in_several_parts_is_marked_as_such(tmp_path: Path) -> None:
    parts = [
        [trace("a/0", "\\frac{1}{2}"), trace("b/0", "7", reference="7"), trace("c/0", "x", kind="code")],
        [trace("a/1", "0.5"), trace("a/2", "3"), trace("b/1", "8", reference="7"), trace("c/1", "x", kind="code")],
    ]
    voted = verdicts(parts, tmp_path, Config(reference="vote"))
    assert {name: (v.outcome, v.reference) for name, v in voted.items()} == {
        "a/0": ("correct", "vote"),
        "a/1": ("correct", "vote"),
        "a/2": ("incorrect", "vote"),
        "b/0": ("correct", "given"),
        "b/1": ("incorrect", "given"),
        "c/0": ("undecided", "vote"),  # two programs are never equal
        "c/1": ("undecided", "vote"),
    }
    assert (voted["a/0"].rule, voted["a/0"].agreement) == ("boxed/vote", pytest.approx(2 / 3))


def test_without_a_vote_a_problem_without_reference_is_undecided(tmp_path: Path) -> None:
    (verdict,) = verdicts([[trace("a/0", "5")]], tmp_path, Config()).values()
    assert (verdict.outcome, verdict.reference, verdict.rule) == ("undecided", "none", "boxed/no_reference")


def test_many_traces_keep_their_order_and_their_verdicts(tmp_path: Path) -> None:
    traces = [trace(f"p{n}/0", str(n if n % 3 else n + 1) if n % 7 else "", reference=str(n)) for n in range(600)]
    found = verdicts([traces], tmp_path, Config())
    assert list(found) == [one.id for one in traces]
    for number, verdict in enumerate(found.values()):
        expected = "undecided" if number % 7 == 0 else "correct" if number % 3 else "incorrect"
        assert verdict.outcome == expected


def test_copies_are_not_several_votes_where_each_text_weighs_once() -> None:
    copies = ballots("7", "7", "7", texts=("a", "a", "a"), logprobs=(-0.1, -0.1, -0.1))
    found = count(copies, same_number, VoteConfig())
    assert outcomes(found) == ["undecided"] * 3
    assert found[0][1].reason == "1 votes, verify.vote.min_votes is 2"


def test_with_equal_weights_each_sample_is_a_vote_whatever_its_text() -> None:
    copies = ballots("7", "7", "7", texts=("a", "a", "a"))
    assert outcomes(count(copies, same_number, VoteConfig(weight="equal"))) == ["correct"] * 3
    assert outcomes(count(copies, same_number, VoteConfig())) == ["correct"] * 3  # without log-probabilities
    imported = [ballot._replace(imported=True) for ballot in copies]  # the same trace, in three files
    assert outcomes(count(imported, same_number, VoteConfig(weight="equal"))) == ["undecided"] * 3


def test_an_answer_joins_only_answers_that_it_equals_all() -> None:
    """50% is 0.5 and may be 50, but 0.5 is not 50: whatever the order of the traces, they are never one candidate."""

    def equal(one: str, other: str) -> bool:
        return one == other or {one, other} in ({"50%", "0.5"}, {"50%", "50"})

    for answers in (("50%", "0.5", "50"), ("50", "50%", "0.5"), ("0.5", "50", "50%")):
        found = count(ballots(*answers), equal, VoteConfig(min_agreement=0.1))
        assert outcomes(found).count("correct") < 3


def test_traces_of_no_probability_decide_nothing() -> None:
    found = count(ballots("1", "1", "2", logprobs=(-1000.0, -1000.0, -1000.0)), same_number, VoteConfig())
    assert outcomes(found) == ["undecided"] * 3
