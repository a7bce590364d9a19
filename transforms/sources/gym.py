"""Problems that reasoning-gym generates. Row i is a function of the seed and i."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from transforms.answers.numbers import lone_number
from transforms.core.errors import ConfigError
from transforms.judging.gym_scorers import EVALUATES_ANSWERS, PROBES, scorer
from transforms.sources.base import Planned, Raw, ReasoningGym, Slice, evenly


def plan(source: ReasoningGym, label: str, seed: int, shard_rows: int) -> Planned:
    """Raises ConfigError if there is no such dataset, it refuses its configuration, or its scorer cannot be trusted."""
    dataset = _dataset(source, seed)
    try:
        _check_scorer(source, dataset[0])
    except (AssertionError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{label}: config = {source.config!r}: {error}") from error
    return evenly(source.size, shard_rows, {"reasoning_gym": version("reasoning_gym"), "seed": seed})


def read(piece: Slice) -> Iterator[Raw]:
    """The rows of a slice."""
    dataset = _dataset(piece.source, piece.seed)
    for row in range(piece.start, piece.stop):
        entry = dataset[row]
        yield Raw(row, entry["question"], entry["answer"], None, _stored(entry))


def _stored(entry: dict[str, Any]) -> str:
    return json.dumps(entry, default=str, ensure_ascii=False)


def _dataset(source: ReasoningGym, seed: int) -> Any:
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    key, allowed = f"ingest.sources: dataset = {source.dataset!r}", sorted(set(DATASETS) - EVALUATES_ANSWERS)
    if source.dataset in EVALUATES_ANSWERS:
        raise ConfigError(
            f"{key}: its scorer runs the model's answer as code, which is never done here; choose another"
        )
    if source.dataset not in DATASETS:
        near = difflib.get_close_matches(source.dataset, allowed, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"{key}: reasoning-gym has no such dataset; {guess}allowed: {', '.join(allowed)}")
    options = sorted(set(DATASETS[source.dataset][1].__dataclass_fields__) - {"seed", "size"})
    for name, value in source.config.items():
        if name not in options:
            raise ConfigError(
                f"ingest.sources: {source.dataset}: config.{name} = {value!r}: unknown key; allowed: {', '.join(options)}"
            )
    try:
        return reasoning_gym.create_dataset(source.dataset, seed=seed, size=source.size, **source.config)
    except (AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"ingest.sources: {source.dataset}: config = {source.config!r}: {error}") from error


def _check_scorer(source: ReasoningGym, entry: dict[str, Any]) -> None:
    """The scorer must take its own answer after storage, and not everything else too. Whole numbers need no scorer."""
    key = f"ingest.sources: dataset = {source.dataset!r}"
    if not isinstance(entry["answer"], str) or not entry["answer"].strip():
        raise ConfigError(f"{key}: it gives no reference answers; choose another")
    if (number := lone_number(entry["answer"])) and number.value.denominator == 1:
        return
    score, stored = scorer(source.dataset), json.loads(_stored(entry))
    if score(entry["answer"], stored) < 1.0:
        raise ConfigError(f"{key}: its scorer does not take its own answer once stored; choose another")
    if any(score(probe, stored) >= 1.0 for probe in PROBES):
        raise ConfigError(f"{key}: its scorer takes any answer for right; choose another")
