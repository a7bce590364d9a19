"""A reference where none is given: the answer that most of a problem's traces agree on.

    answers 12, 12.0, 15, (none) of one problem, equal weights → "12" with agreement 2/4

Answers that the judge takes for equal are one candidate. A trace weighs 1, or, where the teacher gave
log-probabilities, exp of its mean log-probability per token, i.e. 1 / perplexity, each distinct text once
(perplexity consistency, arXiv 2502.00511, with the length-normalised probability). The share of the winner is
over all traces of the problem, those without an answer too. Without a clear winner nothing is decided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from transforms.core.config import Config as BaseConfig
from transforms.core.records import Outcome
from transforms.judging.judgement import Judgement


class Config(BaseConfig):
    """`min_agreement`: the winner's share of all weight; `min_votes`: how many votes there must be (copies of one text are one, where they weigh once)."""

    weight: Literal["equal", "probability"] = "probability"
    min_agreement: float = Field(0.5, gt=0, le=1)
    min_votes: int = Field(2, ge=1)


class Ballot(NamedTuple):
    """What one trace votes for. `answer` is "" where it has none; `text` tells equal traces apart from others."""

    trace_id: str
    answer: str
    mean_logprob_nats_per_token: float
    text: bytes
    shard: int
    row: int
    imported: bool = False  # then a copy of a text is no sample of its own


class Vote(NamedTuple):
    """How a vote went for one trace: the outcome for it, and the winner's share."""

    outcome: Outcome
    reason: str
    agreement: float


def count(ballots: Sequence[Ballot], equal: Callable[[str, str], bool], config: Config) -> list[tuple[Ballot, Vote]]:
    """The vote of one problem, for each ballot in the order of trace ids. `equal` compares two answers."""
    ordered = sorted(ballots, key=lambda ballot: ballot.trace_id)
    weights = _weights(ordered, config.weight)
    candidates = _candidates([ballot.answer for ballot in ordered], equal)
    total = math.fsum(weights)
    shares = [math.fsum(weights[voter] for voter in voters) / total if total else 0.0 for voters in candidates]
    ranked = sorted(range(len(candidates)), key=lambda number: -shares[number])
    num_votes = sum(bool(ballot.answer) and weight > 0 for ballot, weight in zip(ordered, weights, strict=True))
    agreement, reason = (shares[ranked[0]], "") if ranked else (0.0, "no trace has an answer")
    if ranked and num_votes < config.min_votes:
        reason = f"{num_votes} votes, verify.vote.min_votes is {config.min_votes}"
    elif len(ranked) > 1 and math.isclose(shares[ranked[1]], agreement):
        reason = f"a tie at {agreement:.0%}"
    elif not reason and agreement < config.min_agreement:
        reason = f"{agreement:.0%} agree, verify.vote.min_agreement is {config.min_agreement:.0%}"
    winners = set(candidates[ranked[0]]) if ranked and not reason else set()
    return [
        (ballot, Vote(_outcome(number in winners, bool(reason) or not ballot.answer), reason, agreement))
        for number, ballot in enumerate(ordered)
    ]


def judged(vote: Vote, without: Judgement) -> Judgement:
    """The vote as the judgement of a trace; `without` it, the trace had that one, whose rule says how the answer was found."""
    found_by, _, _ = without.rule.partition("/")
    return Judgement(vote.outcome, f"{found_by}/vote", vote.reason)


def _outcome(won: bool, undecided: bool) -> Outcome:
    if undecided:
        return Outcome.UNDECIDED
    return Outcome.CORRECT if won else Outcome.INCORRECT


def _weights(ballots: Sequence[Ballot], weight: str) -> list[float]:
    logprobs = [ballot.mean_logprob_nats_per_token for ballot in ballots]
    equal = weight == "equal" or any(math.isnan(value) for value in logprobs)
    seen: set[bytes] = set()
    weights = []
    for ballot, logprob in zip(ballots, logprobs, strict=True):
        copy = ballot.text in seen and (ballot.imported or not equal)
        weights.append(0.0 if copy else 1.0 if equal else math.exp(logprob))
        seen.add(ballot.text)
    return weights


def _distinct(group: Sequence[int], answers: Sequence[str]) -> list[int]:
    """The first number of each different text of a group."""
    return list({answers[number]: number for number in reversed(group)}.values())


def _candidates(answers: Sequence[str], equal: Callable[[str, str], bool]) -> list[list[int]]:
    """The numbers of the answers in groups of equal ones; an answer joins the first group all of which it equals."""
    groups: list[list[int]] = []
    by_text: dict[str, list[int]] = {}
    for number, answer in enumerate(answers):
        if not answer:
            continue
        group = by_text.get(answer) or next(
            (
                one
                for one in groups
                if all(equal(answer, answers[n]) and equal(answers[n], answer) for n in _distinct(one, answers))
            ),
            None,
        )
        if group is None:
            groups.append(group := [])
        group.append(number)
        by_text[answer] = group
    return groups
