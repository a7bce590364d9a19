"""Prunes traces with one method: from its decisions to a shorter thinking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transforms.core.drops import Drop, DropReason
from transforms.core.records import Decision, PrunedTrace
from transforms.inference.dialogue import Dialogue, UnansweredError
from transforms.inference.requests import failed
from transforms.pruning import METHODS, needs
from transforms.pruning.budget import shortfall
from transforms.pruning.given import PruneInput
from transforms.pruning.method import MethodConfig
from transforms.steps.joining import joined


def prune(given: PruneInput, method: str, config: MethodConfig) -> Iterator[PrunedTrace | Drop]:
    """The pruned trace of one method that asks no model, or a drop if the trace lacks what the method needs."""
    decide = METHODS[method].prune
    assert decide, f"{method} asks a model"
    yield _lacking(given, method, config) or _pruned(given, decide(given, config), method, config)


def dialogue(given: PruneInput, method: str, config: MethodConfig) -> Dialogue[PrunedTrace | Drop]:
    """The same of a method that needs the scorer."""
    if lacking := _lacking(given, method, config):
        return lacking
    try:
        talk = METHODS[method].dialogue
        assert talk, f"{method} asks no model"
        decisions = yield from talk(given, config)
    except UnansweredError as error:
        return failed(given.trace.id, "prune", error.failure)
    return _pruned(given, decisions, method, config)


def _lacking(given: PruneInput, method: str, config: MethodConfig) -> Drop | None:
    wanted = needs(method, config)
    if "scores" in wanted and (given.scores is None or len(given.scores.steps) != len(given.trace.steps)):
        return Drop(given.trace.id, "prune", DropReason.NO_SCORES, f"{method} needs scores and the trace has none")
    if "entropies" in wanted and given.scores is not None and given.scores.entropy == "none":
        return Drop(given.trace.id, "prune", DropReason.NO_SCORES, f"{method} needs entropies and the scores have none")
    for name, field in (("actions", "action"), ("path", "path")):
        opinions = given.annotations.opinions if given.annotations else ()
        known = [bool(getattr(opinion, field)) for opinion in opinions]
        if name in wanted and (len(known) != len(given.trace.steps) or not all(known)):
            detail = f"{method} needs the teacher's opinions ({name}) and the trace has none"
            return Drop(given.trace.id, "prune", DropReason.NO_ANNOTATIONS, detail)
    return None


def _pruned(given: PruneInput, found: Sequence[Decision], method: str, config: MethodConfig) -> PrunedTrace:
    trace, decisions = given.trace, tuple(found)
    assert [decision.step for decision in decisions] == list(range(len(trace.steps))), (
        f"{method}: not one decision a step"
    )
    asked = needs(method, config) & {"actions", "path"}
    return PrunedTrace(
        id=trace.id,
        problem=trace.problem,
        model=trace.model,
        prompt=trace.prompt,
        method=method,
        thinking=trace.thinking,
        response=trace.response,
        answer=trace.answer,
        steps=trace.steps,
        decisions=decisions,
        pruned=joined(trace.thinking, trace.steps, decisions),
        shortfall=shortfall(given, decisions, config),
        method_version=METHODS[method].version,
        prompts=given.annotations.prompts if given.annotations and asked else "",
    )
