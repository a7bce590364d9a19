"""What a pruning method is: an entry of `transforms.pruning.METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from transforms.core.config import Config
from transforms.core.records import Decision
from transforms.inference.dialogue import Dialogue
from transforms.pruning.given import PruneInput


class MethodConfig(Config):
    """The options of a method: `prune.options.NAME`."""

    @property
    def needs(self) -> frozenset[str]:
        """What these options need beside what the method always does."""
        return frozenset()

    @property
    def has_budget(self) -> bool:
        """Whether there is a budget of tokens to meet."""
        return False


Options = TypeVar("Options", bound=MethodConfig)


@dataclass(frozen=True)
class Method(Generic[Options]):
    """A pruning method. It gives one decision a step, in order.

    Attributes:
        name: as users say it, in prune.methods.
        version: counted up when the same trace is pruned otherwise than before; it stands in each pruned trace.
        Config: its options.
        needs: what it reads beside the steps (`transforms.pruning`).
        prune: its decisions, where it asks no model.
        dialogue: its decisions, where what it asks the scorer depends on its own decisions.
    """

    name: str
    version: str
    Config: type[Options]
    needs: frozenset[str] = frozenset()
    prune: Callable[[PruneInput, Options], list[Decision]] | None = None
    dialogue: Callable[[PruneInput, Options], Dialogue[list[Decision]]] | None = None
