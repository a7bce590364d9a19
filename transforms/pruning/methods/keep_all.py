"""Keeps every step: the baseline that all methods are compared with."""

from __future__ import annotations

from transforms.core.records import Action, Decision
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method, MethodConfig


class Config(MethodConfig):
    """Nothing to set."""


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """One KEEP a step."""
    return [Decision(number, Action.KEEP, "keep_all") for number in range(len(given.trace.steps))]


METHOD = Method("keep_all", "1", Config, prune=prune)
