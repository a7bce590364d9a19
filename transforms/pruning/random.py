"""Deletes steps at random until the budget holds: what any method has to beat at the same budget (ASAP, arXiv 2508.05988,
and others compare with it). The order is a function of the seed and the trace's id."""

from __future__ import annotations

from transforms.pruning.base import Budget, Deletion, PruneInput, within_budget
from transforms.seeding import unit_interval
from transforms.types import Decision

VERSION = "1"
NEEDS = frozenset({"scores"})


class Config(Budget):
    """`seed`: of the order."""

    seed: int = 17


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE by lot."""
    steps = range(len(given.trace.steps))
    lots = [Deletion(step, unit_interval(config.seed, "prune", given.trace.id, str(step))) for step in steps]
    order = sorted(lots, key=lambda deletion: deletion.score)
    return within_budget(given, order, config.of(given.num_tokens), "drawn by lot")
