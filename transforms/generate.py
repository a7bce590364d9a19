"""Traces from a teacher: k completions a problem, each told apart into thinking and response.

    Problem(id="sums-3", …), sample 1 → Trace(id="sums-3/1", raw="…", thinking="…", response="…")

What the teacher did not finish, or what has no final answer, is a counted drop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from transforms.configuration import Config as BaseConfig
from transforms.inference.engine import Completion, Failure, GenerateRequest, Sampling, failed
from transforms.traces import Thinking, Unparsable, split_thinking
from transforms.types import Drop, DropReason, Message, Problem, Trace, drop, with_instruction

CODE_INSTRUCTION = "Reason step by step, and then give the whole program in one ```python code block."


class Config(BaseConfig):
    """`instruction` follows the question in the prompt, `code_instruction` where code is asked for.

    `on_length`: what to do with a trace cut at max_tokens.
    """

    model: str = Field("teacher", min_length=1)
    samples_per_problem: int = Field(2, ge=1, le=1024)
    instruction: str = "Reason step by step, and put the final answer within \\boxed{}."
    code_instruction: str = CODE_INSTRUCTION
    sampling: Sampling = Sampling()
    on_length: Literal["drop", "keep"] = "drop"
    thinking: Thinking = "auto"

    def prompt(self, problem: Problem) -> str:
        """What the teacher is asked."""
        return with_instruction(problem, self.code_instruction if problem.answer_kind == "code" else self.instruction)


def requests(problem: Problem, config: Config) -> list[GenerateRequest]:
    """One request a sample."""
    messages = (Message("user", config.prompt(problem)),)
    return [GenerateRequest(messages, config.sampling, sample) for sample in range(config.samples_per_problem)]


def traces(
    problem: Problem, completions: list[Completion | Failure], config: Config, model: str
) -> Iterator[Trace | Drop]:
    """One trace or drop for each completion."""
    for sample, completion in enumerate(completions):
        yield _trace(problem, sample, completion, config, model)


def _trace(problem: Problem, sample: int, completion: Completion | Failure, config: Config, model: str) -> Trace | Drop:
    name = f"{problem.id}/{sample}"
    if isinstance(completion, Failure):
        return failed(name, "generate", completion)
    if not completion.text.strip():
        return drop(name, "generate", DropReason.EMPTY_TEXT, "the model said nothing")
    if completion.finish_reason == "length" and config.on_length == "drop":
        return drop(name, "generate", DropReason.TRUNCATED, f"cut at {completion.num_tokens} tokens")
    raw = completion.text.encode("utf-8", "replace").decode()
    parts = split_thinking(raw, config.thinking, problem.answer_kind)
    if isinstance(parts, Unparsable):
        return drop(name, "generate", parts.reason, parts.detail)
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
    )


def _mean(total: float | None, number: int) -> float:
    return math.nan if total is None or not number else total / number
