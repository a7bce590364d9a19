"""Keeps the first steps, as many as the budget holds: a baseline for ASAP (arXiv 2508.05988) and the others."""

from __future__ import annotations

from transforms.core.records import Decision
from transforms.pruning.budget import Budget as Config
from transforms.pruning.budget import Deletion, within_budget
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE from the last step on backwards."""
    order = [Deletion(step, -float(step)) for step in reversed(range(len(given.trace.steps)))]
    return within_budget(given, order, config.of(given.num_tokens), "too late in the thinking")


METHOD = Method("head", "1", Config, needs=frozenset({"scores"}), prune=prune)
