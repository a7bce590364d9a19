"""Keeps every step: the baseline that all methods are compared with."""

from __future__ import annotations

from transforms.core.config import Config as BaseConfig
from transforms.core.records import Action, Decision
from transforms.pruning.given import PruneInput

VERSION = "1"
NEEDS: frozenset[str] = frozenset()


class Config(BaseConfig):
    """Nothing to set."""


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """One KEEP a step."""
    return [Decision(number, Action.KEEP, "keep_all") for number in range(len(given.trace.steps))]
