"""Verdicts against recorded truth, and how fast plain maths is judged. Prints one JSON line.

Reads problems/ and traces/ below SHARED_DATA (default ../shared/data). `--read` also prints each answer of a real trace
that is not judged correct, to be read by eye.

- solutions: each problem's own reference solution against its answer; all should be correct.
- neighbours: the next problem's answer against this one's, where the two differ; none should be correct.
- traces: each model's answers against the reference, and against the next problem's.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from transforms.answers.extract import plain
from transforms.core.records import Outcome, Problem, asked
from transforms.judging import Config, judge_responses, judge_within

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
PROBLEMS = ("math500", "gsm8k_test", "gsm8k_train")
TRACES = (
    "gsm8k_deepseek-r1", "gsm8k_r1-distill-qwen-32b", "gsm8k_s1.1-32b", "math_deepseek-r1", "math_r1-distill-qwen-32b",
    "math_s1.1-32b", "mmlu-pro_qwen3-next-80b",
)  # fmt: skip


def main() -> None:
    """Judges everything twice over and prints the counts."""
    judge_within("1", problem("1"), 60)  # the workers are there
    found: dict[str, Any] = {"solutions": {}, "neighbours": {}, "traces": {}, "traces_against_neighbours": {}}
    answers_per_second = []
    for name in PROBLEMS:
        rows = read(f"problems/{name}.jsonl.gz")
        golds = [row["reference_answer"] for row in rows]
        started = time.monotonic()
        found["solutions"][name] = table((solution(row), problem(gold)) for row, gold in zip(rows, golds, strict=True))
        found["neighbours"][name] = table(mismatched(golds))
        answers_per_second.append(2 * len(rows) / (time.monotonic() - started))
    for name in TRACES:
        rows = read(f"traces/{name}.jsonl.gz")
        kind = "choice" if name.startswith("mmlu") else "math"
        asked = [(response(row), problem(row["reference_answer"], kind)) for row in rows]
        found["traces"][name] = table(asked, show=name if "--read" in sys.argv else "")
        by_problem = {row["problem_id"]: pair for row, pair in zip(rows, asked, strict=True)}
        others = [*list(by_problem.values())[1:], next(iter(by_problem.values()))]
        found["traces_against_neighbours"][name] = table(
            (given, right)
            for (given, own), (_, right) in zip(by_problem.values(), others, strict=True)
            if own.answer != right.answer
        )
    found["answers_per_second"] = dict(zip(PROBLEMS, (round(rate) for rate in answers_per_second), strict=True))
    print(json.dumps(found))


def table(asked: Iterable[tuple[str, Problem]], show: str = "") -> dict[str, int]:
    """Counts of the verdicts on (response, problem) pairs."""
    asked = list(asked)
    counts: Counter[str] = Counter()
    for (text, of), (answer, judgement) in zip(asked, judge_responses(asked, Config()), strict=True):
        counts[judgement.outcome.value] += 1
        if show and judgement.outcome != Outcome.CORRECT:
            stated = repr(answer) if answer else f"no answer in {text[-200:]!r}"
            print(show, judgement.outcome.value, repr(of.answer), stated, *judgement[1:], sep="\t", file=sys.stderr)
    return dict(sorted(counts.items()))


def mismatched(golds: list[str]) -> Iterable[tuple[str, Problem]]:
    """Each answer as the response to the problem before it, but where the two are the same ("5" and "x=5" are)."""
    for gold, other in pairwise(golds):
        if plain(gold) != plain(other):
            yield f"\\boxed{{{other}}}", problem(gold)


def solution(row: dict[str, Any]) -> str:
    """A reference solution that states its answer as a response does."""
    return row["solution"].replace("####", "The answer is")


def response(row: dict[str, Any]) -> str:
    """What follows the thinking."""
    for marker in ("</think>", "\nanswer\n", "\nanswer"):
        if marker in row["response"]:
            return row["response"].rpartition(marker)[2]
    return row["response"]


def problem(answer: str, kind: str = "math") -> Problem:
    """A problem with this reference."""
    return Problem("p", "bench", "bench", asked("?"), answer, kind, "")


def read(name: str) -> list[dict[str, Any]]:
    """The rows of a file of the shared data."""
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
