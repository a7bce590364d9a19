"""How hard a problem is: the share of its samples that is correct, in bands of that pass rate.

Samples are the traces that were judged, and those that the teacher failed on its own: cut at the token limit, running in
circles, without thinking or without an answer. Where the engine failed there was no sample.

    bands (0.25, 0.5, 0.75, 1.0): 1 of 8 correct → band 0, "(0, 0.25]", the hardest; 8 of 8 → band 3, "(0.75, 1]"

A problem without a correct trace is in none of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from transforms.core.drops import Drop, DropReason
from transforms.core.records import problem_of

FAILED = (
    DropReason.TRUNCATED,
    DropReason.REPEATED_LOOP,
    DropReason.EMPTY_TEXT,
    DropReason.NO_FINAL_ANSWER,
    DropReason.BROKEN_TAGS,
)


SAMPLES = (*FAILED, DropReason.REQUEST_FAILED, DropReason.TOO_LONG)  # drops that are a sample of a problem


def failed_samples(drops: Iterable[Drop]) -> Iterator[str]:
    """The problem's id for each of the teacher's drops that says something about the problem. A trace's id ends in /sample."""
    for drop in drops:
        if drop.reason in FAILED:
            yield problem_of(drop.id)


def band_of(num_correct: int, num_samples: int, bands: Sequence[float]) -> int:
    """The number of the band, whose upper edges are `bands`; 0 is the hardest. At least one trace is correct."""
    return bisect_left(bands, num_correct / num_samples)


def band_name(band: int, bands: Sequence[float]) -> str:
    """The band as an interval: "(0.25, 0.5]"."""
    low, high = (str(edge).removesuffix(".0") for edge in (0, *bands)[band : band + 2])
    return f"({low}, {high}]"


def quotas(sizes: Sequence[int], total: int) -> list[int]:
    """How many each band gives, so that all give `total`, or all they have.

    Equal shares; what a band does not have the others give; what cannot be shared equally comes from the first.
    """
    level, left = 0, total
    while (higher := [size for size in sizes if size > level]) and left >= len(higher):
        rise = min(min(higher) - level, left // len(higher))
        level, left = level + rise, left - rise * len(higher)
    shares = []
    for size in sizes:
        extra = int(size > level and left > 0)
        shares.append(min(size, level) + extra)
        left -= extra
    return shares
