"""Traces from a teacher: k completions a problem, each told apart into thinking and response.

    Problem(id="sums-3", …), sample 1 → Trace(id="sums-3/1", raw="…", thinking="…", response="…")

What the teacher did not finish, what repeats itself to the end, or what has no final answer, is a counted drop.
A trace that was cut can be asked for again with more room (`on_length: retry`); problems without enough correct traces
can be asked again, round by round, until they have them or had their share (`resample_until`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from transforms.answers.thinking import Thinking, split_thinking
from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.drops import Drop, DropReason, Reason, drop, whole_pairs
from transforms.core.records import Message, Outcome, Problem, Trace, trace_id
from transforms.inference.dialogue import Dialogue, Work
from transforms.inference.requests import Completion, Exchange, Failure, GenerateRequest, Sampling, failed
from transforms.judging import has_reference
from transforms.prompts import with_instruction
from transforms.sources import TraceSource, check_names
from transforms.text.repetition import repeated_loop

CODE_INSTRUCTION = "Reason step by step, and then give the whole program in one ```python code block."


class ResampleUntil(BaseConfig):
    """Problems with fewer than `correct` correct traces get `samples_per_problem` more, until they have `max_samples`."""

    correct: int = Field(1, ge=1)
    max_samples: int = Field(16, ge=1, le=1024)


class Config(BaseConfig):
    """`instruction` follows the question in the prompt, `code_instruction` where code is asked for.

    `on_length`: what to do with a trace cut at max_tokens; `retry` asks again with twice the room, up to
    `max_retry_tokens`. `drop_loops`: whether a trace that repeats itself to its end is dropped. `import`: files of traces
    that are taken in place of the teacher's.
    """

    model: str = Field("teacher", min_length=1)
    samples_per_problem: int = Field(2, ge=1, le=1024)
    instruction: str = "Reason step by step, and put the final answer within \\boxed{}."
    code_instruction: str = CODE_INSTRUCTION
    sampling: Sampling = Sampling()
    on_length: Literal["drop", "keep", "retry"] = "drop"
    max_retry_tokens: int | None = Field(None, ge=1)
    drop_loops: bool = True
    resample_until: ResampleUntil | None = None
    thinking: Thinking = "auto"
    imports: tuple[TraceSource, ...] = Field((), strict=False, alias="import")

    @field_validator("imports")
    @classmethod
    def _distinct_names(cls, imports: tuple[Any, ...]) -> tuple[Any, ...]:
        check_names(imports, "generate.import")
        return imports

    @model_validator(mode="after")
    def _bounded(self) -> Config:
        if self.on_length == "retry" and (self.max_retry_tokens or 0) <= self.sampling.max_tokens:
            raise combination(
                "generate.max_retry_tokens",
                f"must be above generate.sampling.max_tokens = {self.sampling.max_tokens}, for on_length: retry",
            )
        if self.resample_until and self.resample_until.max_samples <= self.samples_per_problem:
            raise combination(
                "generate.resample_until.max_samples",
                f"must be above generate.samples_per_problem = {self.samples_per_problem}",
            )
        if self.resample_until and self.resample_until.correct > self.resample_until.max_samples:
            raise combination("generate.resample_until.correct", "is more than generate.resample_until.max_samples")
        if self.resample_until and self.imports:
            raise combination("generate.resample_until", "must be null where traces are imported: nobody is asked")
        return self

    def prompt(self, problem: Problem) -> str:
        """What the teacher is asked."""
        return with_instruction(problem, self.code_instruction if problem.answer_kind == "code" else self.instruction)

    @property
    def most_tokens(self) -> int:
        """The most that one completion may have."""
        return max(self.sampling.max_tokens, (self.max_retry_tokens or 0) * (self.on_length == "retry"))


def dialogue(problem: Problem, config: Config, model: str) -> Dialogue[list[Trace | Drop]]:
    """One trace or drop for each sample, from its last attempt; samples that were cut are asked with more room, then further samples
    where too few are correct. The verdicts on those are `Work`: (response, problem).
    """
    exchanges = yield _samples(problem, range(config.samples_per_problem), config)
    while more := _longer(exchanges, config) or (yield from _further(problem, exchanges, config)):
        exchanges = exchanges + (yield more)
    return traces(problem, exchanges, config, model)


def num_samples(problem: Problem, config: Config) -> int:
    """How many traces or drops a problem gives, if it is not sampled again."""
    return config.samples_per_problem


def traces(problem: Problem, exchanges: list[Exchange], config: Config, model: str) -> list[Trace | Drop]:
    """One for each sample."""
    attempts = sorted(_last_attempts(exchanges).items())
    return [to_trace(problem, sample, attempt.response, config, model) for sample, attempt in attempts]  # type: ignore[arg-type]


def _samples(problem: Problem, samples: range, config: Config) -> list[GenerateRequest]:
    messages = (Message("user", config.prompt(problem)),)
    return [GenerateRequest(messages, config.sampling, sample) for sample in samples]


def _last_attempts(exchanges: list[Exchange]) -> dict[int, Exchange]:
    """The last exchange of each sample. One with more room came later."""
    return {exchange.request.sample: exchange for exchange in exchanges}  # type: ignore[union-attr]


def _longer(exchanges: list[Exchange], config: Config) -> list[GenerateRequest]:
    """The samples that were cut, asked with twice the room."""
    found: list[GenerateRequest] = []
    for request, response in _last_attempts(exchanges).values():
        assert isinstance(request, GenerateRequest)
        room, most = request.sampling.max_tokens, config.most_tokens
        if not isinstance(response, Completion) or response.finish_reason != "length" or room >= most:
            continue
        if not (config.drop_loops and repeated_loop(response.reasoning or response.text)):
            wider = request.sampling.model_copy(update={"max_tokens": min(2 * room, most)})
            found.append(replace(request, sampling=wider))
    return found


def _further(problem: Problem, exchanges: list[Exchange], config: Config) -> Dialogue[list[GenerateRequest]]:
    """More samples of a problem with a reference and too few correct traces."""
    until, asked = config.resample_until, len(_last_attempts(exchanges))
    if until is None or asked >= until.max_samples or not has_reference(problem):
        return []
    found = [one for one in traces(problem, exchanges, config, "") if isinstance(one, Trace)]
    judged = yield [Work((trace.response, trace.problem)) for trace in found]
    correct = sum(judgement.outcome == Outcome.CORRECT for _, (_, judgement) in judged)  # type: ignore[misc]
    if correct >= until.correct:
        return []
    return _samples(problem, range(asked, min(asked + config.samples_per_problem, until.max_samples)), config)


def to_trace(
    problem: Problem, sample: int, completion: Completion | Failure, config: Config, model: str
) -> Trace | Drop:
    """One sample of a problem, or why it is no trace."""
    name = trace_id(problem.id, sample)
    if isinstance(completion, Failure):
        return failed(name, "generate", completion)
    raw, reasoning = whole_pairs(completion.text), whole_pairs(completion.reasoning)
    if not raw.strip() and not reasoning.strip():
        return drop(name, "generate", DropReason.EMPTY_TEXT, "the model said nothing")
    if completion.finish_reason not in ("stop", "length"):
        return drop(name, "generate", DropReason.REQUEST_FAILED, f"the server ended it: {completion.finish_reason}")
    if config.drop_loops and (loop := repeated_loop(reasoning or raw)):
        return drop(name, "generate", DropReason.REPEATED_LOOP, loop.describe())
    if completion.finish_reason == "length" and config.on_length != "keep":
        return drop(name, "generate", DropReason.TRUNCATED, f"cut at {completion.num_tokens} tokens")
    parts = split_thinking(raw, config.thinking, problem.answer_kind, reasoning)
    if isinstance(parts, Reason):
        return drop(name, "generate", parts.reason, parts.detail)
    if config.drop_loops and (loop := repeated_loop(parts.thinking)):
        return drop(name, "generate", DropReason.REPEATED_LOOP, loop.describe())
    return Trace(
        id=name,
        problem=problem,
        sample=sample,
        model=model,
        prompt=config.prompt(problem),
        raw=raw,
        thinking=parts.thinking,
        response=parts.response,
        finish_reason=completion.finish_reason,
        num_prompt_tokens=completion.num_prompt_tokens,
        num_tokens=completion.num_tokens,
        mean_logprob_nats_per_token=_mean(completion.sum_logprob_nats, completion.num_tokens),
        raw_reasoning=reasoning,
    )


def _mean(total: float | None, number: int) -> float:
    return math.nan if total is None or not number else total / number
