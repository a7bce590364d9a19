"""Training shards: kept traces in a trainer's format, split into train and validation by problem.

All traces of a problem are in one split, and which one depends on the seed and the problem's id only:
a problem never changes sides when others come or go.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, field_validator

from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.records import Example, Kept
from transforms.core.seeding import unit_interval
from transforms.formats import FORMATS
from transforms.prompts import with_instruction
from transforms.shards.joins import chosen
from transforms.shards.mapping import Shard
from transforms.steps.versions import Version
from transforms.storage.folders import SPLITS


class Config(BaseConfig):
    """`validation_share` of the problems goes to the validation split, as chance has it.

    `instruction` follows the question in the examples, but where code is asked for; null: the prompt as the teacher
    was asked.
    """

    formats: tuple[str, ...] = Field(("messages",), min_length=1, strict=False)
    validation_share: float = Field(0.1, ge=0, lt=1)
    instruction: str | None = None

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) < len(formats):
            raise combination("emit.formats", "names a format twice")
        for name in formats:
            if name not in FORMATS:
                raise combination("emit.formats", f"has {name!r}, which is no format; there is {', '.join(FORMATS)}")
        return formats


def read_kept(shard: Shard) -> Iterator[tuple[Version, Kept]]:
    """`shard.source` = the parts of steps, of pruned and rechecked for each method, and of kept."""
    steps, *parts, kept = shard.source
    return chosen(kept, steps, parts)


def emit(row: tuple[Version, Kept], format_name: str, round: int, instruction: str | None = None) -> Iterator[Example]:
    """The example of one kept version of the data set's `round`."""
    version, kept = row
    problem = version.trace.problem
    as_asked = instruction is None or problem.answer_kind == "code"
    prompt = version.trace.prompt if as_asked else with_instruction(problem, instruction or "")
    yield FORMATS[format_name](version, kept, prompt, round)


def split_of(example: Example, validation_share: float, seed: int) -> str:
    """The split of an example's problem."""
    return SPLITS[unit_interval(seed, "split", example.problem_id) < validation_share]
