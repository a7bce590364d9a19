"""The stage: verdicts on the traces of a shard, judged side by side, and the vote where there is no reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import apache_beam as beam

from transforms.answers.extract import stated_answer
from transforms.core.records import CodeTests, Problem, Trace, Verdict
from transforms.judging import Config, has_reference, is_correct, judge_responses, vote
from transforms.judging.judgement import Judgement
from transforms.judging.vote import Vote
from transforms.shards.mapping import AttachNotes, Guarded, Shard
from transforms.storage.parts import read_part

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
        judged = judge_responses([(trace.response, trace.problem) for _, trace in some], config)
        for (row, trace), (extracted, judgement) in zip(some, judged, strict=True):
            decided = vote.judged(votes[row], judgement) if row in votes else judgement
            yield JudgedTrace(trace, extracted, decided)


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
            countable = trace.problem.answer_kind != "code"  # no two programs are equal
            answer = found.answer if found and found.stands and countable else ""
            text = hashlib.sha256(trace.raw.encode()).digest()[:16]
            ballot = vote.Ballot(
                trace.id, answer, trace.mean_logprob_nats_per_token, text, shard.number, row, bool(trace.origin)
            )
            slim = replace(trace.problem, turns=(), entry="", tests=CodeTests())
            yield trace.problem.id, (slim, ballot)


def _count(
    group: tuple[str, Iterable[tuple[Problem, vote.Ballot]]], config: Config
) -> Iterator[tuple[int, tuple[int, Vote]]]:
    problems, ballots = zip(*group[1], strict=True)

    def equal(answer: str, reference: str) -> bool:
        return is_correct(answer, replace(problems[0], answer=reference), config.deadline_seconds)

    for ballot, result in vote.count(ballots, equal, config.vote):
        yield ballot.shard, (ballot.row, result)
