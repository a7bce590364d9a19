"""The scorers of Reasoning Gym's data sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

# The scorers of these reasoning-gym datasets evaluate the model's answer as code (eval, exec or sympy's
# parse_expr, which is eval). Text from a model is never executed here, so they are refused at ingest.
EVALUATES_ANSWERS = frozenset(
    {
        "binary_matrix",
        "codeio",
        "composite",  # may hold any of the others
        "countdown",
        "intermediate_integration",
        "n_queens",
        "number_sorting",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    }
)
PROBES = ("I do not know", "zzz")  # no scorer may take these for right


@cache
def scorer(dataset: str) -> Callable[[str, dict[str, Any]], float]:
    """reasoning-gym's own scorer of a dataset.

    Raises:
        ValueError: it would run the answer as code.
    """
    import reasoning_gym

    if dataset in EVALUATES_ANSWERS:
        raise ValueError(f"the scorer of {dataset} evaluates answers as code")
    return reasoning_gym.get_score_answer_fn(dataset)
