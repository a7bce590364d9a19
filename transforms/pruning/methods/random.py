"""Deletes steps at random until the budget holds: a baseline that ASAP (arXiv 2508.05988) and the others have to beat at the
same budget. The order is a function of the seed and the trace's id."""

from __future__ import annotations

from transforms.core.records import Decision
from transforms.core.seeding import unit_interval
from transforms.pruning.budget import Budget, lowest_first, within_budget
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method


class Config(Budget):
    """`seed`: of the order."""

    seed: int = 17


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE by lot."""
    steps = range(len(given.trace.steps))
    lots = [unit_interval(config.seed, "prune", given.trace.id, str(step)) for step in steps]
    return within_budget(given, lowest_first(lots), config.of(given.num_tokens), "drawn by lot")


METHOD = Method("random", "1", Config, needs=frozenset({"scores"}), prune=prune)
