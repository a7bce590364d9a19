"""Pruning methods: one module each, with `Config`, `NEEDS`, `VERSION` and `prune`.

NEEDS holds what a method reads beside the steps: scores, and entropies among them. A method gives one decision a step.
It never writes text: what is kept is the original's, byte for byte.
To add one, write its module and list it in METHODS; `prune.options.NAME` is then its Config.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from transforms.configuration import Config
from transforms.pruning import asap, first_correct, head, keep_all, random, step_entropy, tail
from transforms.pruning.base import PruneInput, shortfall
from transforms.types import Drop, DropReason, PrunedTrace, joined

METHODS: dict[str, ModuleType] = {
    "keep_all": keep_all,
    "first_correct": first_correct,
    "asap": asap,
    "step_entropy": step_entropy,
    "random": random,
    "head": head,
    "tail": tail,
}


def prune(given: PruneInput, method: str, config: Config) -> Iterator[PrunedTrace | Drop]:
    """The pruned trace of one method, or a drop if it lacks what the method needs."""
    module, trace = METHODS[method], given.trace
    if "scores" in module.NEEDS and given.scores is None:
        yield Drop(trace.id, "prune", DropReason.NO_SCORES, f"{method} needs scores and the trace has none")
        return
    decisions = tuple(module.prune(given, config))
    assert [decision.step for decision in decisions] == list(range(len(trace.steps))), (
        f"{method}: not one decision a step"
    )
    yield PrunedTrace(
        id=trace.id,
        problem=trace.problem,
        model=trace.model,
        prompt=trace.prompt,
        method=method,
        thinking=trace.thinking,
        response=trace.response,
        steps=trace.steps,
        decisions=decisions,
        pruned=joined(trace.thinking, trace.steps, decisions),
        shortfall=shortfall(given, decisions, config),
        method_version=module.VERSION,
    )
