"""What became of problems by their difficulty, and of verdicts by how they came about. Pure functions over records.

difficulty → {"0": {"problems": 20, "samples": 80, "correct": 0, …, "problems_with_example": 0, "lost_share": 1.0},
              "(0, 0.25]": {"max_pass_rate": 0.25, "problems": 12, …, "problems_with_example": 3, "lost_share": 0.75},
              …, "unjudged": {"problems": 2, "samples": 0, …}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from transforms.core.records import Outcome, Verdict
from transforms.selection.difficulty import band_name, band_of

NEVER, UNJUDGED = "0", "unjudged"  # beside the bands of pass rate
MAX_REASONS, MAX_REASON_CHARS = 8, 100


def correct_traces(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """The ids of the traces that are judged correct, and the family of each."""
    return {verdict.id: verdict.family for verdict in verdicts if verdict.outcome == Outcome.CORRECT}


def difficulty(
    problems: Iterable[str],
    verdicts: Iterable[Verdict],
    failed: Iterable[str],
    examples: Iterable[str],
    bands: Sequence[float],
) -> dict[str, dict[str, float]]:
    """What became of the problems of each band of pass rate, of those without a correct trace, and of those without a sample.

    Where a vote is the reference, the pass rate is the share of the traces that agree with it.

    Args:
        problems: ids of all problems.
        verdicts: of all traces.
        failed: the problem's id of each sample without a trace that counts (`transforms.selection.difficulty`).
        examples: the problem's id of each example.
        bands: upper edges of the pass rate, rising.
    """
    judged: Counter[str] = Counter(failed)
    correct: Counter[str] = Counter()
    for verdict in verdicts:
        judged[verdict.problem_id] += 1
        correct[verdict.problem_id] += verdict.outcome == Outcome.CORRECT
    given = Counter(examples)
    edges = {NEVER: 0.0} | {band_name(number, bands): edge for number, edge in enumerate(bands)}
    members: dict[str, list[str]] = {name: [] for name in (*edges, UNJUDGED)}
    for problem in problems:
        members[_band(correct[problem], judged[problem], bands)].append(problem)
    return {
        name: ({"max_pass_rate": edges[name]} if name in edges else {}) | _summed(ids, judged, correct, given)
        for name, ids in members.items()
    }


def _band(num_correct: int, num_judged: int, bands: Sequence[float]) -> str:
    if not num_judged:
        return UNJUDGED
    return band_name(band_of(num_correct, num_judged, bands), bands) if num_correct else NEVER


def _summed(
    problems: Sequence[str], judged: Counter[str], correct: Counter[str], given: Counter[str]
) -> dict[str, float]:
    without = sum(not given[problem] for problem in problems)
    return {
        "problems": len(problems),
        "samples": sum(judged[problem] for problem in problems),
        "correct": sum(correct[problem] for problem in problems),
        "problems_solved": sum(correct[problem] > 0 for problem in problems),
        "problems_with_example": len(problems) - without,
        "examples": sum(given[problem] for problem in problems),
        "lost_share": round(without / len(problems), 4) if problems else 0.0,
    }


def outcomes(verdicts: Iterable[Verdict], field: str) -> dict[str, dict[str, int]]:
    """Counts of the three outcomes for each value of a field of the verdicts, by name."""
    counts = Counter((getattr(verdict, field), verdict.outcome) for verdict in verdicts)
    values = sorted({value for value, _ in counts})
    return {value: {outcome.value: counts[value, outcome.value] for outcome in Outcome} for value in values}


def teachers(
    traces: Iterable[tuple[str, str, str]], verdicts: Iterable[Verdict], examples: Iterable[str]
) -> dict[str, dict[str, int]]:
    """For each teacher, what became of its traces, and how what their source says of them compares with the verdicts.

    Args:
        traces: (id, model, recorded) of each; recorded is correct | incorrect | "".
        verdicts: of all traces.
        examples: the model of each example.
    """
    about = {name: (model, recorded) for name, model, recorded in traces}
    given = Counter(examples)
    found: dict[str, dict[str, int]] = {}
    for verdict in verdicts:
        model, recorded = about[verdict.id]
        counts = found.setdefault(model, dict.fromkeys(("traces", "correct", "recorded", "agree"), 0))
        counts["traces"] += 1
        counts["correct"] += verdict.outcome == Outcome.CORRECT
        counts["recorded"] += bool(recorded)
        counts["agree"] += recorded == verdict.outcome
    return {model: {**counts, "examples": given[model]} for model, counts in sorted(found.items())}


def undecided_reasons(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """The most frequent reasons for undecided verdicts, the most frequent first; equals by rule and reason."""
    reasons = Counter(
        (verdict.rule, verdict.reason[:MAX_REASON_CHARS])
        for verdict in verdicts
        if verdict.outcome == Outcome.UNDECIDED
    )
    first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:MAX_REASONS]
    return [{"rule": rule, "reason": reason, "count": count} for (rule, reason), count in first]
