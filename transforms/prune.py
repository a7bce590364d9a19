"""Prunes traces with one method: from its decisions to a shorter thinking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transforms.core.drops import Drop, DropReason, drop
from transforms.core.records import Decision, Pruned
from transforms.inference.dialogue import Dialogue, or_drop
from transforms.pruning import METHODS, needs
from transforms.pruning.budget import shortfall
from transforms.pruning.given import PruneInput
from transforms.pruning.method import MethodConfig


def prune(given: PruneInput, method: str, config: MethodConfig) -> Iterator[Pruned | Drop]:
    """The pruned trace of one method that asks no model, or a drop if the trace lacks what the method needs."""
    decide = METHODS[method].prune
    assert decide, f"{method} asks a model"
    yield _lacking(given, method, config) or _pruned(given, decide(given, config), method, config)


def dialogue(given: PruneInput, method: str, config: MethodConfig) -> Dialogue[Pruned | Drop]:
    """The same of a method that needs the scorer."""
    return or_drop(_asking(given, method, config), given.trace.id, "prune", method)


def _asking(given: PruneInput, method: str, config: MethodConfig) -> Dialogue[Pruned | Drop]:
    if lacking := _lacking(given, method, config):
        return lacking
    talk = METHODS[method].dialogue
    assert talk, f"{method} asks no model"
    return _pruned(given, (yield from talk(given, config)), method, config)


def _lacking(given: PruneInput, method: str, config: MethodConfig) -> Drop | None:
    def lacks(reason: DropReason, detail: str) -> Drop:
        return drop(given.trace.id, "prune", reason, detail, method)

    wanted = needs(method, config)
    if "scores" in wanted and (given.scores is None or len(given.scores.steps) != len(given.trace.steps)):
        return lacks(DropReason.NO_SCORES, "the trace has no scores")
    if "entropies" in wanted and given.scores is not None and given.scores.entropy == "none":
        return lacks(DropReason.NO_SCORES, "the scores have no entropies")
    for name, field in (("actions", "action"), ("path", "path")):
        opinions = given.annotations.opinions if given.annotations else ()
        known = [bool(getattr(opinion, field)) for opinion in opinions]
        if name in wanted and (len(known) != len(given.trace.steps) or not all(known)):
            return lacks(DropReason.NO_ANNOTATIONS, f"the trace has no opinions of the teacher ({name})")
    return None


def _pruned(given: PruneInput, found: Sequence[Decision], method: str, config: MethodConfig) -> Pruned:
    trace, decisions = given.trace, tuple(found)
    assert [decision.step for decision in decisions] == list(range(len(trace.steps))), (
        f"{method}: not one decision a step"
    )
    asked = needs(method, config) & {"actions", "path"}
    return Pruned(
        id=trace.id,
        method=method,
        method_version=METHODS[method].version,
        decisions=decisions,
        shortfall=shortfall(given, decisions, config),
        prompts=given.annotations.prompts if given.annotations and asked else "",
    )
