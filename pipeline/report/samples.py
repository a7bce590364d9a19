"""Traces to look at, step by step: those of the examples that lost the most tokens, and one that was given many back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from heapq import nsmallest
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from pipeline.paths import Paths
from transforms.core.records import Action, Decision, Pruned, Rechecked, SegmentedTrace
from transforms.steps.versions import Version
from transforms.storage.parts import find_row

Row = TypeVar("Row")


class Sample(NamedTuple):
    """A version, and its steps as they look: {"text", "look": gone | back | "", "rewritten", "reason"}."""

    version: Version
    steps: list[dict[str, Any]]


class _Numbers(NamedTuple):
    """Of a version, to choose by."""

    id: str
    method: str
    status: str
    lost: int  # tokens, from the original to what goes on
    restored: int  # tokens that the re-check gave back


def samples(paths: Paths, methods: Iterable[str], count: int) -> list[Sample]:
    """Of the versions that were kept the `count` that lost the most tokens, and after them the one of any method that the
    re-check gave the most tokens back, if there is one.
    """
    if not count:
        return []
    kept = set(paths.folder("kept").columns("id", "method"))
    numbers = list(_numbers(paths, methods))
    shown = nsmallest(count, (one for one in numbers if one[:2] in kept), key=lambda one: (-one.lost, one.id))
    restored = (one for one in numbers if one.status in ("mended", "rolled_back") and one not in shown)
    if most := max(restored, key=lambda one: one.restored, default=None):
        shown.append(most)
    return [Sample(version, looks(version)) for version in (_version(paths, one) for one in shown)]


def _numbers(paths: Paths, methods: Iterable[str]) -> Iterator[_Numbers]:
    columns = ("id", "status", "num_tokens_before", "num_tokens_pruned", "num_tokens_after")
    for method in methods:
        for name, status, before, pruned, after in paths.folder("rechecked", method).columns(*columns):
            yield _Numbers(name, method, status, before - after, after - pruned)


def _version(paths: Paths, of: _Numbers) -> Version:
    def found(record: type[Row], folder: str) -> Row:
        row = find_row(record, paths.folder(folder).part_paths(), of.id)
        assert row is not None, f"{folder} has no {of.id}"
        return row

    return Version(
        found(SegmentedTrace, "steps"),
        found(Pruned, f"pruned/{of.method}"),
        found(Rechecked, f"rechecked/{of.method}"),
    )


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
