"""The stage: verdicts on the traces of a shard, judged side by side, and the vote where there is no reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import apache_beam as beam

from transforms.folders import read_part
from transforms.shards import AttachNotes, Guarded, Shard
from transforms.types import CodeTests, Problem, Trace, Verdict
from transforms.verify import NONE_STATED, TAKEN_BACK, Config, found_by, has_reference, is_correct, vote
from transforms.verify.extract import stated_answer
from transforms.verify.judgement import Judgement
from transforms.verify.vote import Vote
from transforms.verify.workers import judge_all

_TOGETHER = 256  # traces that are judged before the first of them goes on


class JudgedTrace(NamedTuple):
    """A trace, the answer that its response states ("" if none), and the judgement on it."""

    trace: Trace
    extracted: str
    judgement: Judgement

    @property
    def id(self) -> str:
        """The trace's."""
        return self.trace.id


def judged_traces(shard: Shard, config: Config) -> Iterator[JudgedTrace]:
    """The shard's traces, judged several at a time. Rows with a `Vote` as note are decided by it."""
    votes = dict(shard.notes)
    rows = enumerate(read_part(Trace, shard.source[0]))
    while some := list(islice(rows, _TOGETHER)):
        found = [stated_answer(trace.response, trace.problem.answer_kind) for _, trace in some]
        asked = [
            (answer.answer, trace.problem)
            for answer, (row, trace) in zip(found, some, strict=True)
            if answer and answer.rule != "retracted" and row not in votes
        ]
        judgements = judge_all(asked, config.deadline_seconds, config)
        for answer, (row, trace) in zip(found, some, strict=True):
            if row in votes:
                judgement = vote.judged(votes[row], answer.rule if answer else "extract")
            elif answer is None or answer.rule == "retracted":
                judgement = TAKEN_BACK if answer else NONE_STATED
            else:
                judgement = found_by(answer.rule, next(judgements))
            yield JudgedTrace(trace, answer.answer if answer else "", judgement)


def verdict(row: JudgedTrace, note: Vote | None = None) -> Iterator[Verdict]:
    """The verdict on one trace; `note` is how the vote on it went, where there was one."""
    trace, extracted, judgement = row
    yield Verdict(
        id=trace.id,
        problem_id=trace.problem.id,
        family=trace.problem.family,
        outcome=judgement.outcome,
        extracted=extracted,
        rule=judgement.rule,
        reason=judgement.reason,
        reference="vote" if note else "given" if has_reference(trace.problem) else "none",
        agreement=note.agreement if note else 0.0,
    )


@dataclass
class VoteOnAnswers(beam.PTransform):
    """Shards of traces → shards whose traces of problems without a reference know how the vote on them went."""

    config: Config

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        notes = (
            shards
            | "Read the answers" >> beam.ParDo(Guarded(_ballots))
            | "Group by problem" >> beam.GroupByKey()
            | "Count the votes" >> beam.ParDo(Guarded(_count, self.config))
        )
        return (shards, notes) | AttachNotes()


def _ballots(shard: Shard) -> Iterator[tuple[str, tuple[Problem, vote.Ballot]]]:
    for row, trace in enumerate(read_part(Trace, shard.source[0])):
        if not has_reference(trace.problem):
            found = stated_answer(trace.response, trace.problem.answer_kind)
            counts = (
                found and found.rule != "retracted" and trace.problem.answer_kind != "code"
            )  # no two programs are equal
            answer = found.answer if found and counts else ""
            text = hashlib.sha256(trace.raw.encode()).digest()[:16]
            ballot = vote.Ballot(trace.id, answer, trace.mean_logprob_nats_per_token, text, shard.number, row)
            slim = replace(trace.problem, question="", entry="", tests=CodeTests())
            yield trace.problem.id, (slim, ballot)


def _count(
    group: tuple[str, Iterable[tuple[Problem, vote.Ballot]]], config: Config
) -> Iterator[tuple[int, tuple[int, Vote]]]:
    problems, ballots = zip(*group[1], strict=True)

    def equal(answer: str, reference: str) -> bool:
        return is_correct(answer, replace(problems[0], answer=reference), config.deadline_seconds)

    for ballot, result in vote.count(ballots, equal, config.vote):
        yield ballot.shard, (ballot.row, result)
