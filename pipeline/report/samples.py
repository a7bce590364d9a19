"""Traces to look at, step by step: those of the examples that lost the most tokens, and one that was given many back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from heapq import nsmallest
from itertools import groupby
from typing import Any, NamedTuple

from pipeline.paths import Paths
from transforms.core.records import Action, Decision, Kept, Pruned, Rechecked, SegmentedTrace
from transforms.shards.joins import decided
from transforms.steps.versions import Version
from transforms.storage.parts import find_row, read_rows


class Sample(NamedTuple):
    """A version, and its steps as they look: {"text", "look": gone | back | "", "rewritten", "reason"}."""

    version: Version
    steps: list[dict[str, Any]]


def results(paths: Paths, methods: Iterable[str]) -> Iterator[tuple[Pruned, Rechecked]]:
    """What each method and the re-check found of each trace, without its text."""
    for method in methods:
        pruned, rechecked = (paths.folder(folder, method).part_paths() for folder in ("pruned", "rechecked"))
        for parts in zip(pruned, rechecked, strict=True):
            yield from decided(*parts)


def samples(paths: Paths, methods: Iterable[str], count: int) -> list[Sample]:
    """Of the versions that were kept the `count` that lost the most tokens, and after them the one of any method that the
    re-check gave the most tokens back, if there is one.
    """
    if not count:
        return []
    methods = list(methods)
    kept = {(row.id, row.method) for row in read_rows(Kept, paths.folder("kept").part_paths())}
    chosen = (pair for pair in results(paths, methods) if (pair[1].id, pair[1].method) in kept)
    shown = nsmallest(
        count, chosen, key=lambda pair: (pair[1].num_tokens_after - pair[1].num_tokens_before, pair[1].id)
    )
    restored = (
        pair for pair in results(paths, methods) if pair[1].status in ("mended", "rolled_back") and pair not in shown
    )
    if most := max(restored, key=lambda pair: pair[1].num_tokens_after - pair[1].num_tokens_pruned, default=None):
        shown.append(most)
    steps = paths.folder("steps").part_paths()
    found = []
    for pruned, rechecked in shown:
        trace = find_row(SegmentedTrace, steps, pruned.id)
        assert trace is not None, f"{pruned.id} has no steps"
        version = Version(trace, pruned, rechecked)
        found.append(Sample(version, looks(version)))
    return found


def looks(version: Version) -> list[dict[str, Any]]:
    """Steps that stand together and share look and reason are one."""
    found, trace = [], version.trace
    for (look, reason, _), run in groupby(version.pruned.decisions, partial(_look, version.result)):
        first, *more = run
        start, end = trace.steps[first.step].start, trace.steps[(more or [first])[-1].step].end
        rewritten = "" if look == "back" else first.text.strip("\n")
        found.append(
            {
                "text": trace.thinking[start:end].strip("\n"),
                "look": look,
                "rewritten": rewritten,
                "reason": reason,
            }
        )
    return found


def _look(rechecked: Rechecked, decision: Decision) -> tuple[str, str, int]:
    """How a step looks and why; each rewrite is something of its own."""
    is_back, is_kept = decision.step in rechecked.given_back, decision.action == Action.KEEP
    look = "back" if is_back else "" if is_kept else "gone"
    missed = ", ".join(edge.said for edge in rechecked.dangling if edge.producer == decision.step)
    reason = f"{decision.reason}; needed for {missed}" if missed and is_back else decision.reason
    return look, reason, decision.step if decision.text and not is_back else -1
