"""A trace as a pruning method would have it: its steps, the method's decisions, and what the re-check found of them.

Version(trace, pruned)             .proposed   "2 + 3 = 5."        what the method leaves of the thinking
Version(trace, pruned, rechecked)  .final      "2 + 3 = 5. So 5."  with the steps that the re-check gave back
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from transforms.core.records import Pruned, Rechecked, SegmentedTrace
from transforms.steps.joining import joined


@dataclass(frozen=True)
class Version:
    """One method's version of a trace; `rechecked` is None until the re-check has seen it."""

    trace: SegmentedTrace
    pruned: Pruned
    rechecked: Rechecked | None = None

    @property
    def id(self) -> str:
        """The trace's."""
        return self.trace.id

    @property
    def method(self) -> str:
        """Whose version it is."""
        return self.pruned.method

    def thinking_with(self, given_back: Collection[int]) -> str:
        """What stays of the thinking, with these steps as they were."""
        return joined(self.trace.thinking, self.trace.steps, self.pruned.decisions, given_back)

    @cached_property
    def proposed(self) -> str:
        """What the method leaves of the thinking."""
        return self.thinking_with(())

    @cached_property
    def final(self) -> str:
        """The thinking that goes on, once it is re-checked."""
        return self.thinking_with(self.result.given_back)

    @property
    def result(self) -> Rechecked:
        """What the re-check found, of a version that it has seen."""
        assert self.rechecked is not None, f"{self.id} {self.method} is not re-checked"
        return self.rechecked
