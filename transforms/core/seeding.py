"""Randomness that depends on a seed and a record's id, never on order, sharding or the machine."""

from __future__ import annotations

import hashlib


def unit_interval(seed: int, *names: str) -> float:
    """A number in [0, 1) that is a function of `seed` and `names` only."""
    digest = hashlib.sha256("\x1f".join((str(seed), *names)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
