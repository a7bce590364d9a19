"""Think-Prune-Train's filter: what is verified correct, no text twice, at most n examples a problem.

For each trace one version is chosen: that of a named method, or (`portfolio`) the shortest that passed
its re-check; equal lengths go to the method named first. For each problem the shortest traces stay, up
to `max_per_problem`; equal lengths go to the lower id. Only ids and numbers are grouped.
(arXiv 2504.18116; no code published.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.folders import read_part
from transforms.shards import AttachNotes, Guarded, Mark, Shard
from transforms.types import DropReason, KeptTrace, Outcome, RecheckedTrace, Verdict


class Config(BaseConfig):
    """`method`: a method's name, or "portfolio"."""

    method: str = Field("portfolio", min_length=1)
    max_per_problem: int = Field(1, ge=1)


class Version(NamedTuple):
    """One method's version of one trace, in numbers. `row` counts over the shard's parts in their order."""

    trace_id: str
    method: int
    num_tokens: int
    outcome: str
    status: str
    text: bytes
    shard: int
    row: int


class Chosen(NamedTuple):
    """What a chosen row wants to know of its problem."""

    num_correct: int
    num_samples: int


def read_versions(shard: Shard) -> Iterator[tuple[RecheckedTrace, str]]:
    """(trace, its verdict) over the parts of all methods. `shard.source` = one path a method, then the verdicts'."""
    *methods, verdicts = shard.source
    outcomes = {verdict.id: verdict.outcome for verdict in read_part(Verdict, verdicts)}
    for path in methods:
        for trace in read_part(RecheckedTrace, path):
            yield trace, outcomes[trace.id]


def keep(row: tuple[RecheckedTrace, str], chosen: Chosen) -> Iterator[KeptTrace]:
    """A chosen version as the kept trace."""
    trace, _ = row
    yield KeptTrace(
        id=trace.id,
        problem=trace.problem,
        model=trace.model,
        prompt=trace.prompt,
        method=trace.method,
        status=trace.status,
        original=trace.thinking,
        thinking=trace.final,
        response=trace.response,
        num_tokens_before=trace.num_tokens_before,
        num_tokens_after=trace.num_tokens_after,
        num_correct=chosen.num_correct,
        num_samples=chosen.num_samples,
    )


def choose(
    versions: Iterable[Version], num_samples: int, num_correct: int, wanted: int | None, max_per_problem: int
) -> Iterator[tuple[int, tuple[int, Chosen | Mark]]]:
    """For all versions of one problem's traces: (shard, (row, Chosen)) or (shard, (row, Mark)), one for each.

    Args:
        versions: of one problem.
        num_samples: traces of the problem that were judged.
        num_correct: those judged correct.
        wanted: the number of the method to take, or None for the portfolio.
        max_per_problem: traces to keep.
    """
    seen: set[bytes] = set()
    traces: set[str] = set()
    for version in sorted(versions, key=lambda v: (v.num_tokens, v.trace_id, v.method)):
        reason, detail = "", ""
        if version.outcome != Outcome.CORRECT:
            reason = DropReason.UNDECIDED if version.outcome == Outcome.UNDECIDED else DropReason.INCORRECT
        elif version.status == "original_fails":
            reason, detail = DropReason.UNDECIDED, "the re-check could not verify the original as training would see it"
        elif wanted is not None and version.method != wanted:
            reason, detail = DropReason.NOT_CHOSEN, "another method is chosen"
        elif version.trace_id in traces:
            reason, detail = DropReason.NOT_CHOSEN, "another version of the trace is as short or shorter"
        elif version.text in seen:
            reason = DropReason.DUPLICATE_TRACE
        elif len(traces) >= max_per_problem:
            reason, detail = DropReason.NOT_CHOSEN, f"the problem has {max_per_problem} as short or shorter"
        else:
            seen.add(version.text)
            traces.add(version.trace_id)
        yield version.shard, (version.row, Mark(reason, detail) if reason else Chosen(num_correct, num_samples))


@dataclass
class ChooseVersions(beam.PTransform):
    """Shards → shards whose rows know whether they are chosen. `methods` are in the order of the shards' sources."""

    config: Config
    methods: tuple[str, ...]

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        wanted = None if self.config.method == "portfolio" else self.methods.index(self.config.method)
        versions = shards | "Read the numbers" >> beam.ParDo(Guarded(_versions, self.methods))
        verdicts = shards | "Read the verdicts" >> beam.ParDo(Guarded(_outcomes))
        notes = (
            {"versions": versions, "verdicts": verdicts}
            | "Group by problem" >> beam.CoGroupByKey()
            | "Choose in each problem" >> beam.FlatMap(_choose_group, wanted, self.config.max_per_problem)
        )
        return (shards, notes) | AttachNotes()


def _versions(shard: Shard, methods: tuple[str, ...]) -> Iterator[tuple[str, Version]]:
    for row, (trace, outcome) in enumerate(read_versions(shard)):
        text = hashlib.sha256(f"{trace.final}\x1f{trace.response}".encode()).digest()[:16]
        yield (
            trace.problem.id,
            Version(
                trace.id,
                methods.index(trace.method),
                trace.num_tokens_after,
                outcome,
                trace.status,
                text,
                shard.number,
                row,
            ),
        )


def _outcomes(shard: Shard) -> Iterator[tuple[str, bool]]:
    for verdict in read_part(Verdict, shard.source[-1]):
        yield verdict.problem_id, verdict.outcome == Outcome.CORRECT


def _choose_group(
    group: tuple[str, dict[str, list]], wanted: int | None, max_per_problem: int
) -> Iterator[tuple[int, tuple[int, Chosen | Mark]]]:
    versions, correct = group[1]["versions"], group[1]["verdicts"]
    return choose(versions, len(correct), sum(correct), wanted, max_per_problem)
