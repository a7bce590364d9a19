"""Think-Prune-Train's filter: what is verified correct, no text twice, at most n traces a problem, N examples a round.

    2 versions of each of 8 traces of a problem → 16 rows → 1 Kept(num_correct=5, num_samples=8, …), 15 drops

1. Only what is verified correct can stay, and computes nothing false (`false_arithmetic`). Of each trace that is one version: that of a named method, or (`portfolio`)
   the shortest that passed its re-check; equal lengths go to the method named first.
2. The traces of a problem are put in the order of `choose`: equals by their id. Going down it, a trace is dropped whose
   text (thinking and response) repeats one that stays, or is as alike as `max_similarity`; of the others the first
   `max_per_problem` stay.
3. Of all these, `num_examples` stay, in equal shares from each band of difficulty (`balance`); what a band does not
   have, the others give. Which ones of a band is up to the seed and their ids.

Paper: arXiv 2504.18116 (no code published). The number of examples a round is fixed so that gains do not come from more
data. Nothing depends on the order or the sharding of the rows; only ids, numbers and checksums are grouped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from transforms.core.drops import Drop, Reason
from transforms.core.records import Kept, Outcome, Verdict
from transforms.selection.difficulty import failed_samples
from transforms.selection.sketches import sketch
from transforms.selection.versions import (
    Candidate,
    Chosen,
    Config,
    Decision,
    Place,
    Rule,
    band,
    choose,
    last_places,
    place,
    unfit,
    within,
)
from transforms.shards.joins import by_id, of_id, versions
from transforms.shards.mapping import AttachNotes, Guarded, Shard
from transforms.steps.versions import Version
from transforms.storage.parts import read_part

__all__ = [
    "ChooseVersions",
    "Config",
    "TakeShares",
    "candidate",
    "keep",
    "read_versions",
]


def read_versions(shard: Shard) -> Iterator[tuple[Version, Verdict]]:
    """(version, its verdict) of all methods. `shard.source` = the parts of steps, of pruned and rechecked for each method, and of verdicts."""
    steps, *parts, verdicts = shard.source
    verdict_of = by_id(Verdict, verdicts)
    for version in versions(steps, parts):
        yield version, of_id(verdict_of, version.id, steps, verdicts)


def keep(row: tuple[Version, Verdict], chosen: Chosen) -> Iterator[Kept]:
    """The choice of a version."""
    version, verdict = row
    yield Kept(
        id=version.id,
        method=version.method,
        num_correct=chosen.num_correct,
        num_samples=chosen.num_samples,
        reference=verdict.reference,
        agreement=verdict.agreement,
    )


def candidate(version: Version, verdict: Verdict, shard: int, row: int, rule: Rule) -> Candidate:
    """The version in numbers. Its text is looked at only where it can stay."""
    found = version.result
    numbers = Candidate(
        trace_id=version.id,
        method=rule.methods.index(version.method),
        num_tokens=found.num_tokens_after,
        mean_logprob_nats=found.mean_logprob_after_nats_per_token,
        outcome=verdict.outcome,
        status=found.status,
        arithmetic=found.arithmetic,
        text=b"",
        sketch=b"",
        shard=shard,
        row=row,
    )
    if unfit(numbers, rule):
        return numbers
    text = f"{version.final.strip()}\n\n{version.trace.response}"
    return numbers._replace(
        text=hashlib.sha256(text.encode()).digest()[:16],
        sketch=b"" if rule.config.max_similarity is None else sketch(text),
    )


@dataclass
class ChooseVersions(beam.PTransform):
    """Shards → shards whose rows know whether they are chosen. `methods` are in the order of the shards' sources.

    `drops` is the path of the teacher's drops, which count in the pass rate.
    """

    config: Config
    methods: tuple[str, ...]
    seed: int
    drops: str

    def expand(self, shards: beam.PCollection[Shard]) -> beam.PCollection[Shard]:
        rule = Rule(self.config, self.methods, self.seed)
        candidates = shards | "Read the numbers" >> beam.ParDo(Guarded(_candidates, rule))
        judged = shards | "Read the verdicts" >> beam.ParDo(Guarded(_outcomes))
        failed = (
            shards.pipeline
            | "The teacher's drops" >> beam.Create([self.drops], reshuffle=False)
            | "Read the drops" >> beam.ParDo(Guarded(_failed))
        )
        verdicts = (judged, failed) | "All samples" >> beam.Flatten()
        decisions = (
            {"candidates": candidates, "verdicts": verdicts}
            | "Group by problem" >> beam.CoGroupByKey()
            | "Choose in each problem" >> beam.FlatMap(_choose_group, rule)
        )
        if self.config.num_examples is not None:
            decisions = decisions | "Choose over all problems" >> TakeShares(rule)
        return (shards, decisions | "As notes" >> beam.Map(_note)) | AttachNotes()


@dataclass
class TakeShares(beam.PTransform):
    """Decisions → decisions of which `num_examples` are chosen, in equal shares from each band.

    At most `num_examples` places of each band are gathered, and one cut-off a band goes back to all workers.
    """

    rule: Rule

    def expand(self, decisions: beam.PCollection[Decision]) -> beam.PCollection[Decision]:
        last = (
            decisions
            | "Place in the bands" >> beam.FlatMap(_placed, self.rule)
            | "First of each band" >> beam.combiners.Top.SmallestPerKey(self.rule.config.num_examples)
            | "All bands" >> beam.combiners.ToDict()
            | "Cut off" >> beam.Map(last_places, self.rule.config)
        )
        return decisions | "Take the shares" >> beam.Map(within, beam.pvalue.AsSingleton(last), self.rule)


def _candidates(shard: Shard, rule: Rule) -> Iterator[tuple[str, Candidate]]:
    for row, (version, verdict) in enumerate(read_versions(shard)):
        yield version.trace.problem.id, candidate(version, verdict, shard.number, row, rule)


def _outcomes(shard: Shard) -> Iterator[tuple[str, bool]]:
    for verdict in read_part(Verdict, shard.source[-1]):
        yield verdict.problem_id, verdict.outcome == Outcome.CORRECT


def _failed(path: str) -> Iterator[tuple[str, bool]]:
    for problem in failed_samples(read_part(Drop, path)):
        yield problem, False


def _choose_group(group: tuple[str, dict[str, list[Any]]], rule: Rule) -> Iterator[Decision]:
    candidates, correct = group[1]["candidates"], group[1]["verdicts"]
    return choose(candidates, sum(correct), len(correct), rule)


def _placed(decision: Decision, rule: Rule) -> Iterator[tuple[int, Place]]:
    if isinstance(decision.outcome, Chosen):
        yield band(decision.outcome, rule.config), place(decision.version, rule.seed)


def _note(decision: Decision) -> tuple[int, tuple[int, Chosen | Reason]]:
    return decision.version.shard, (decision.version.row, decision.outcome)
