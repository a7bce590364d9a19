"""Pruning methods: one module each, with `Config`, `NEEDS`, `VERSION`, and `prune` or `dialogue`.

NEEDS holds what a method reads beside the steps, and `Config.needs` what some options of it read, too:

    scores     of each step; `entropies`, that these are among them
    actions    the teacher's opinions on what to do with each step, and its `rewrites`; `path`: on whether it is on the core path
    scorer     the model itself: the method is a dialogue with it, for what depends on its own decisions

A method gives one decision a step. It never writes text: what is kept is the original's, byte for byte, and what is
rewritten is the teacher's. To add one, write its module and list it in METHODS; `prune.options.NAME` is then its Config.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

from transforms.core.config import Config
from transforms.core.records import Decision, Drop, DropReason, PrunedTrace
from transforms.inference.dialogue import Dialogue, UnansweredError
from transforms.inference.requests import failed
from transforms.pruning.budget import PruneInput, shortfall
from transforms.pruning.methods import (
    answer_likelihood,
    asap,
    drp,
    first_correct,
    head,
    keep_all,
    random,
    step_entropy,
    tail,
)
from transforms.steps.joining import joined

METHODS: dict[str, ModuleType] = {
    "keep_all": keep_all,
    "first_correct": first_correct,
    "asap": asap,
    "drp": drp,
    "step_entropy": step_entropy,
    "answer_likelihood": answer_likelihood,
    "random": random,
    "head": head,
    "tail": tail,
}


def needs(method: str, config: Config) -> frozenset[str]:
    """What the method reads beside the steps, with these options."""
    found: frozenset[str] = METHODS[method].NEEDS | getattr(config, "needs", frozenset())
    return found


def prune(given: PruneInput, method: str, config: Config) -> Iterator[PrunedTrace | Drop]:
    """The pruned trace of one method that asks no model, or a drop if the trace lacks what the method needs."""
    yield _lacking(given, method, config) or _pruned(given, METHODS[method].prune(given, config), method, config)


def dialogue(given: PruneInput, method: str, config: Config) -> Dialogue[PrunedTrace | Drop]:
    """The same of a method that needs the scorer."""
    if lacking := _lacking(given, method, config):
        return lacking
    try:
        decisions = yield from METHODS[method].dialogue(given, config)
    except UnansweredError as error:
        return failed(given.trace.id, "prune", error.failure)
    return _pruned(given, decisions, method, config)


def _lacking(given: PruneInput, method: str, config: Config) -> Drop | None:
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


def _pruned(given: PruneInput, found: Sequence[Decision], method: str, config: Config) -> PrunedTrace:
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
        steps=trace.steps,
        decisions=decisions,
        pruned=joined(trace.thinking, trace.steps, decisions),
        shortfall=shortfall(given, decisions, config),
        method_version=METHODS[method].VERSION,
        prompts=given.annotations.prompts if given.annotations and asked else "",
    )
