"""Training shards: kept traces in a trainer's format, split into train and validation by problem.

All traces of a problem are in one split, and which one depends on the seed and the problem's id only:
a problem never changes sides when others come or go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.records import Example, KeptTrace
from transforms.core.seeding import unit_interval
from transforms.formats import FORMATS
from transforms.prompts import with_instruction
from transforms.storage.folders import SPLITS


class Config(BaseConfig):
    """`validation_share` of the problems goes to the validation split, as chance has it.

    `instruction` follows the question in the examples, but where code is asked for; null: the prompt as the teacher
    was asked.
    """

    formats: tuple[Literal["messages"], ...] = Field(("messages",), min_length=1, strict=False)
    validation_share: float = Field(0.1, ge=0, lt=1)
    instruction: str | None = None

    @field_validator("formats")
    @classmethod
    def _distinct(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) < len(formats):
            raise combination("emit.formats", "names a format twice")
        return formats


def emit(trace: KeptTrace, format_name: str, round: int, instruction: str | None = None) -> Iterator[Example]:
    """The example of one kept trace of the data set's `round`."""
    kept = instruction is None or trace.problem.answer_kind == "code"
    asked = trace.prompt if kept else with_instruction(trace.problem, instruction or "")
    yield FORMATS[format_name].render(trace, asked, round)


def split_of(example: Example, validation_share: float, seed: int) -> str:
    """The split of an example's problem."""
    return SPLITS[unit_interval(seed, "split", example.problem_id) < validation_share]
