"""How alike two texts are: the Jaccard similarity of their word 3-grams, estimated from small sketches.

    sketch("so 2 + 3 = 5 holds") → 512 bytes; similarity of it and of sketch("so 2 + 3 = 5 holds too") ≈ 5/6

A sketch is a MinHash (Broder 1997; library datasketch) of 128 permutations, so the estimate of a similarity
J has a standard deviation of √(J (1 − J) / 128): 0.027 at 0.9. It depends on the text alone. Words are what
white space separates, whatever their case.
"""

from __future__ import annotations

from functools import cache
from typing import Any

NUM_WORDS = 3
NUM_PERMUTATIONS = 128
SEED = 1


def shingles(text: str) -> set[str]:
    """All runs of three words; all words as one run where there are fewer."""
    words = text.casefold().split()
    return {" ".join(words[start : start + NUM_WORDS]) for start in range(max(len(words) - NUM_WORDS + 1, 1))}


def sketch(text: str) -> bytes:
    """The MinHash of the text's shingles: 128 numbers of 4 bytes, the lowest first."""
    minhash = _empty().copy()
    minhash.update_batch([shingle.encode() for shingle in shingles(text)])
    return minhash.hashvalues.astype("<u4").tobytes()


def similarity(first: bytes, second: bytes) -> float:
    """The estimated similarity of the texts of two sketches, in [0, 1]: the share of numbers they have in common."""
    pairs = zip(memoryview(first).cast("I"), memoryview(second).cast("I"), strict=True)
    return sum(one == other for one, other in pairs) / NUM_PERMUTATIONS


@cache
def _empty() -> Any:
    from datasketch import MinHash  # brings scipy, half a second that the other stages need not wait

    return MinHash(NUM_PERMUTATIONS, SEED, scheme="affine32")
