"""Which versions of which traces stay: what is decided in one problem, and then over all of them.

Candidate("p/0", method=1, num_tokens=48, outcome="correct", …) → Decision(…, Chosen(num_correct=5, num_samples=8))
Candidate("p/1", method=1, num_tokens=50, outcome="correct", …)
    → Decision(…, Reason("near_duplicate_trace", "0.95 similar to p/0", "first_correct"))
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.drops import DropReason, Reason
from transforms.core.records import Arithmetic, Outcome
from transforms.core.seeding import unit_interval
from transforms.selection.difficulty import band_name, band_of, quotas
from transforms.selection.sketches import similarity


class Config(BaseConfig):
    """`method`: whose version of a trace, or "portfolio". `choose`: which traces of a problem come first.

    `portfolio_without`: methods that the portfolio does not take, as they are there to be compared with.
    `false_arithmetic`: what becomes of a version with an equation that is false; with unless_corrected it may stay if the version
    itself corrects it (`transforms.coherence.arithmetic`).
    `most_probable` is by the scorer's mean log-probability of the tokens of the thinking that goes on. `max_similarity` is of the word
    3-grams of two traces of a problem; null: only equal texts are dropped. `num_examples` null: all. `bands` are the
    upper edges of the pass rate, the last 1.0.
    """

    method: str = Field("portfolio", min_length=1)
    portfolio_without: tuple[str, ...] = Field(("random", "head", "tail"), strict=False)
    choose: Literal["shortest", "random", "most_probable"] = "shortest"
    false_arithmetic: Literal["keep", "drop", "unless_corrected"] = "unless_corrected"
    max_per_problem: int = Field(1, ge=1)
    max_similarity: float | None = Field(0.9, gt=0, le=1)
    num_examples: int | None = Field(None, ge=1)
    balance: Literal["none", "difficulty"] = "none"
    bands: tuple[float, ...] = Field((0.25, 0.5, 0.75, 1.0), min_length=1, strict=False)

    @field_validator("bands")
    @classmethod
    def _edges(cls, bands: tuple[float, ...]) -> tuple[float, ...]:
        if bands[-1] != 1 or any(low >= high for low, high in zip((0.0, *bands), bands, strict=False)):
            raise combination("filter.bands", "must rise from above 0 to 1.0, the last: [0.25, 0.5, 0.75, 1.0]")
        return bands

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        if self.balance != "none" and self.num_examples is None:
            raise combination("filter.balance", "spreads filter.num_examples, which is null: give a number there")
        return self


class Rule(NamedTuple):
    """All that decides: the configuration, the methods in the order of the shards' sources, and the seed."""

    config: Config
    methods: tuple[str, ...]
    seed: int


class Candidate(NamedTuple):
    """One method's version of one trace, in numbers. `row` counts over the shard's parts in their order.

    `arithmetic` is that of thinking and response. `text` is a checksum of what training would see and `sketch` stands for its words; b"" where nobody asks.
    """

    trace_id: str
    method: int
    num_tokens: int
    mean_logprob_nats: float
    outcome: str
    status: str
    arithmetic: Arithmetic
    text: bytes
    sketch: bytes
    shard: int
    row: int


class Chosen(NamedTuple):
    """A version stays. What its row wants to know of its problem."""

    num_correct: int
    num_samples: int


class Decision(NamedTuple):
    """What becomes of a version."""

    version: Candidate
    outcome: Chosen | Reason


class Place(NamedTuple):
    """Where a trace stands in its band: by chance, the same chance every time."""

    chance: float
    trace_id: str


# In one problem.


def choose(versions: Iterable[Candidate], num_correct: int, num_samples: int, rule: Rule) -> Iterator[Decision]:
    """A decision for each version of one problem's traces.

    Args:
        versions: of one problem.
        num_correct: traces of the problem that were judged correct.
        num_samples: all its samples, see `transforms.selection.difficulty`.
        rule: what to choose by.
    """
    fit: dict[str, Candidate] = {}
    for version in sorted(versions, key=lambda v: (v.num_tokens, v.method)):
        no = unfit(version, rule)
        if no is None and (better := fit.get(version.trace_id)):
            no = Reason(DropReason.LONGER_VERSION, f"{rule.methods[better.method]} made it as short or shorter")
        if no is None:
            fit[version.trace_id] = version
        else:
            yield _rejected(version, no, rule)
    kept: list[Candidate] = []
    for version in sorted(fit.values(), key=partial(_order, rule=rule)):
        no = repeats(version, kept, rule.config.max_similarity) or _beyond(len(kept), rule.config)
        if no is None:
            kept.append(version)
            yield Decision(version, Chosen(num_correct, num_samples))
        else:
            yield _rejected(version, no, rule)


def unfit(version: Candidate, rule: Rule) -> Reason | None:
    """Why a version cannot stay, whatever the others are."""
    if version.outcome == Outcome.INCORRECT:
        return Reason(DropReason.INCORRECT, "the answer is incorrect")
    if version.outcome != Outcome.CORRECT:
        return Reason(DropReason.UNDECIDED, "the verifier could not tell whether the answer is correct")
    if version.status == "original_fails":
        return Reason(DropReason.UNDECIDED, "the re-check could not verify the original as training would see it")
    config, method = rule.config, rule.methods[version.method]
    if false := _false(version.arithmetic, config):
        return Reason(DropReason.FALSE_ARITHMETIC, false)
    if config.method not in ("portfolio", method):
        return Reason(DropReason.NOT_CHOSEN, f"filter.method is {config.method}")
    if config.method == "portfolio" and method in config.portfolio_without:
        return Reason(DropReason.NOT_CHOSEN, "it is one of filter.portfolio_without")
    return None


def _false(arithmetic: Arithmetic, config: Config) -> str:
    """Which equation must not be there, or ""."""
    if config.false_arithmetic == "keep":
        return ""
    if arithmetic.num_false:
        return f"it computes {arithmetic.false_equations[0]}"
    is_strict = config.false_arithmetic == "drop"
    return "it computes something wrong, and corrects it" if is_strict and arithmetic.num_corrected else ""


def repeats(version: Candidate, kept: Sequence[Candidate], max_similarity: float | None) -> Reason | None:
    """Which kept version has the same text, or else is the first that is alike."""
    for other in kept:
        if version.text == other.text:
            return Reason(DropReason.DUPLICATE_TRACE, f"the same text as {other.trace_id}")
    if max_similarity is None:
        return None
    for other in kept:
        if (alike := similarity(version.sketch, other.sketch)) >= max_similarity:
            return Reason(DropReason.NEAR_DUPLICATE_TRACE, f"{alike:.2f} similar to {other.trace_id}")
    return None


def _order(version: Candidate, rule: Rule) -> tuple[float, float, str]:
    """Lower comes first."""
    if rule.config.choose == "random":
        return 0, unit_interval(rule.seed, "choose", version.trace_id), version.trace_id
    if rule.config.choose == "shortest":
        return 0, version.num_tokens, version.trace_id
    unknown = math.isnan(version.mean_logprob_nats)
    return unknown, 0 if unknown else -version.mean_logprob_nats, version.trace_id


def _beyond(num_kept: int, config: Config) -> Reason | None:
    if num_kept < config.max_per_problem:
        return None
    first = f"filter.max_per_problem = {config.max_per_problem} other of the problem come first ({config.choose})"
    return Reason(DropReason.NOT_CHOSEN, first)


def _rejected(version: Candidate, no: Reason, rule: Rule) -> Decision:
    return Decision(version, no._replace(method=rule.methods[version.method]))


# Over all problems.


def band(chosen: Chosen, config: Config) -> int:
    """The band whose share of the examples a chosen version counts for."""
    return 0 if config.balance == "none" else band_of(chosen.num_correct, chosen.num_samples, config.bands)


def place(version: Candidate, seed: int) -> Place:
    """Where the version's trace stands in its band."""
    return Place(unit_interval(seed, "balance", version.trace_id), version.trace_id)


def last_places(first: Mapping[int, Sequence[Place]], config: Config) -> dict[int, Place]:
    """The last place that stays, for each band where any does.

    Args:
        first: of each band the first `num_examples` places, in order; no band can give more.
        config: says how many are to stay.
    """
    assert config.num_examples is not None
    shares = quotas([len(first.get(number, ())) for number in range(len(config.bands))], config.num_examples)
    return {number: first[number][share - 1] for number, share in enumerate(shares) if share}


def within(decision: Decision, last: Mapping[int, Place], rule: Rule) -> Decision:
    """The decision; but what was chosen is rejected if it stands behind the last place of its band."""
    version, chosen = decision
    if isinstance(chosen, Reason):
        return decision
    number = band(chosen, rule.config)
    if number in last and place(version, rule.seed) <= last[number]:
        return decision
    which = f" of pass rate {band_name(number, rule.config.bands)}" if rule.config.balance == "difficulty" else ""
    beyond = f"the examples{which} are beyond filter.num_examples = {rule.config.num_examples}"
    return _rejected(version, Reason(DropReason.NOT_CHOSEN, beyond), rule)
