"""The roles of steps beside labels that language-model readers gave: tests/golden/roles.jsonl, over the traces of SHARED_DATA.

Prints one JSON line: for each part of the labels the number of steps, accuracy, macro-F1, F1 of each role, and the confusion
table (rows: the label; columns: the rules). `test` are 471 steps of three models that the rules were not written on, each with
the label of most of three readers; `test_clear` are those that had the same under an earlier wording of the definitions. `dev` are
those that the rules were written on, with the label of one reader. `--mistakes` prints each step that is told wrongly.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from transforms.answers.final import final_answer
from transforms.answers.thinking import Parts, split_thinking
from transforms.core.records import Problem, asked
from transforms.steps.roles import ROLES, roles
from transforms.steps.splitting import split_steps

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "roles.jsonl"


class Told(NamedTuple):
    """A labelled step, and what the rules say of it."""

    part: str
    clear: bool
    text: str
    label: str
    role: str


def told() -> Iterator[Told]:
    """All labelled steps. Raises KeyError if one is no step any more."""
    for row in map(json.loads, GOLDEN.read_text(encoding="utf-8").splitlines()):
        found = _steps(row["file"], row["id"], row["unit"])
        text, role = found[row["start"], row["end"]]
        yield Told(row["part"], row.get("clear", False), text, row["role"], role)


@cache
def _traces(file: str) -> dict[str, Any]:
    with gzip.open(SHARED / "traces" / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {row["id"]: row for row in map(json.loads, lines)}


@cache
def _steps(file: str, id: str, unit: Any) -> dict[tuple[int, int], tuple[str, str]]:
    row = _traces(file)[id]
    parts = split_thinking(row["response"], "auto")
    assert isinstance(parts, Parts)
    steps = split_steps(parts.thinking, unit)
    texts = [step.text(parts.thinking) for step in steps]
    problem = Problem(id, "", "", asked(row["question"]), row["reference_answer"], _kind(file), "")
    found = roles(texts, row["question"], final_answer(parts.response, problem))
    return {(step.start, step.end): pair for step, pair in zip(steps, zip(texts, found, strict=True), strict=True)}


def _kind(file: str) -> str:
    return "choice" if file.startswith("mmlu") else "math"


def agreement(steps: Iterable[Told]) -> dict[str, Any]:
    """Accuracy, macro-F1 over the roles that occur, F1 of each, and the confusion table."""
    table = Counter((step.label, step.role) for step in steps)
    f1 = {}
    for role in ROLES:
        labelled = sum(table[role, other] for other in ROLES)
        said = sum(table[other, role] for other in ROLES)
        if labelled:
            f1[role] = 2 * table[role, role] / (labelled + said)
    return {
        "steps": table.total(),
        "accuracy": round(sum(table[role, role] for role in ROLES) / table.total(), 3),
        "macro_f1": round(sum(f1.values()) / len(f1), 3),
        "f1": {role: round(value, 2) for role, value in f1.items()},
        "confusion": {role: [table[role, other] for other in ROLES] for role in ROLES},
    }


def main() -> None:
    """Prints the line."""
    found = list(told())
    if "--mistakes" in sys.argv:
        for step in found:
            if step.label != step.role:
                print(f"{step.part}: {step.label}, told as {step.role}: {step.text.strip()[:300]!r}")
    test = [step for step in found if step.part == "test"]
    parts = {
        "test": test,
        "test_clear": [step for step in test if step.clear],
        "dev": [step for step in found if step.part == "dev"],
    }
    print(json.dumps({"bench": "roles", **{name: agreement(steps) for name, steps in parts.items()}}))


if __name__ == "__main__":
    main()
