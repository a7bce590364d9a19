"""Cuts the thinking of each trace into steps, by the unit that is configured; `transforms.steps.splitting` says where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast

from pydantic import Field

from transforms.answers.final import final_answer
from transforms.core.config import Config as BaseConfig
from transforms.core.drops import Drop, DropReason
from transforms.core.records import SegmentedTrace, Step, Trace
from transforms.inference.dialogue import Dialogue, answers_to, or_drop
from transforms.inference.requests import TokenScores, turn
from transforms.steps.roles import roles
from transforms.steps.splitting import split_at_doubt, split_steps

Unit = Literal["paragraph", "sentence", "cue", "confidence"]


class Config(BaseConfig):
    """`unit` is what a step is; `roles`: say what each does (2.5 seconds for each megabyte).

    `confidence_quantile`: with `unit: confidence`, the share of a trace's tokens that begin a step; AdaptiveStep's is 2 %.
    """

    unit: Unit = "paragraph"
    roles: bool = True
    confidence_quantile: float = Field(0.02, gt=0, lt=1)


def segment(trace: Trace, config: Config) -> Iterator[SegmentedTrace | Drop]:
    """A trace in steps of the text, or a drop if it has no thinking."""
    unit = cast('Literal["paragraph", "sentence", "cue"]', config.unit)
    yield _segmented(trace, split_steps(trace.thinking, unit), config) or _empty(trace)


def dialogue(trace: Trace, config: Config) -> Dialogue[SegmentedTrace | Drop]:
    """A trace in steps of the scorer's confidence, or a drop. Asks for all tokens of the thinking, as `score` does with `tokens: all`."""
    return or_drop(_at_doubt(trace, config), trace.id, "segment")


def _at_doubt(trace: Trace, config: Config) -> Dialogue[SegmentedTrace | Drop]:
    if not trace.thinking.strip():
        return _empty(trace)
    (exchange,) = yield from answers_to([turn(trace.prompt, trace.thinking)])
    steps = split_at_doubt(trace.thinking, cast("TokenScores", exchange.response), config.confidence_quantile)
    return _segmented(trace, steps, config) or _empty(trace)


def _segmented(trace: Trace, steps: tuple[Step, ...], config: Config) -> SegmentedTrace | None:
    if not trace.thinking.strip():
        return None
    answer = final_answer(trace.response, trace.problem)
    if config.roles:
        texts = [step.text(trace.thinking) for step in steps]
        found = roles(texts, trace.problem.question, answer)
        steps = tuple(Step(step.start, step.end, step.kind, role) for step, role in zip(steps, found, strict=True))
    return SegmentedTrace(
        id=trace.id,
        problem=trace.problem,
        model=trace.model,
        prompt=trace.prompt,
        thinking=trace.thinking,
        response=trace.response,
        answer=answer,
        steps=steps,
    )


def _empty(trace: Trace) -> Drop:
    return Drop(trace.id, "segment", DropReason.EMPTY_TEXT, "there is no thinking")
