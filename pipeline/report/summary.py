"""The closing lines of `dvc repro`: what was made, what it lost, and where to look."""

from __future__ import annotations

from typing import Any

from pipeline.paths import Paths
from pipeline.report import breakdown
from transforms.core.drops import DropReason
from transforms.storage import files as storage

PAGE = "index.html"


def summary(metrics: dict[str, Any], paths: Paths) -> str:
    """The closing lines: what was made, and where."""
    tokens, examples = metrics["thinking_tokens"], metrics["examples"]
    voted = metrics.get("verdicts_by_reference", {}).get("vote", {}).get("correct", 0)
    advice = (
        []
        if examples["total"]
        else ["  no trace was correct: `python -m pipeline status` shows what was dropped, and why"]
    )
    lines = [
        "",
        f"  {examples['total']} training examples ({examples['train']} train, {examples['validation']} validation) in {paths.stage('shards')}",
        f"  {metrics['verified_share']:.0%} of {metrics['samples']} samples verified correct{f' ({voted} by vote)' if voted else ''}, over {metrics['problems']} problems",
        *_hardest(metrics.get("difficulty", {})),
        f"  thinking tokens of the examples: {tokens['before']:,} before, {tokens['after']:,} after ({tokens['kept_share']:.0%} kept)",
        *(
            f"    {method}: {numbers['kept_share']:.0%} of the tokens of {numbers['correct_traces']} correct traces kept, {numbers.get('mended_share', 0):.0%} mended, {numbers['statuses'].get('rolled_back', 0)} rolled back, {numbers['statuses'].get('gave_up', 0)} given up{_short(numbers)}"
            for method, numbers in metrics["methods"].items()
        ),
        *_unsupported(metrics["methods"]),
        *_false_equations(metrics["dropped"]),
        *advice,
        f"  look at {storage.join(paths.stage('report'), PAGE)}; `dvc metrics show --json`, `dvc plots show`, `python -m pipeline status`",
        "",
    ]
    return "\n".join(lines)


def _short(numbers: dict[str, Any]) -> str:
    """How many traces are over the method's budget, if any are."""
    return f", {count} over the budget" if (count := numbers.get("shortfall_traces", 0)) else ""


def _unsupported(methods: dict[str, dict[str, Any]]) -> list[str]:
    """How many originals do not support their answer, if any do not."""
    count = max((numbers.get("unsupported_traces", 0) for numbers in methods.values()), default=0)
    total = max((numbers["correct_traces"] for numbers in methods.values()), default=0)
    return [f"    {count} of {total} originals do not support their answer (docs/recheck.md)"] if count else []


def _false_equations(dropped: dict[str, dict[str, int]]) -> list[str]:
    """How many versions compute something false, if any do."""
    count = dropped.get("kept", {}).get(DropReason.FALSE_ARITHMETIC, 0)
    return [f"    {count} versions dropped, as they compute something false"] if count else []


def _hardest(bands: dict[str, dict[str, float]]) -> list[str]:
    """What became of the hardest problems: those rarely solved, and those never."""
    if not bands:
        return []
    solved = [band for band in bands.values() if band.get("max_pass_rate") and band["problems"]]
    never = f"never solved: {bands[breakdown.NEVER]['problems']}"
    never += f", not judged: {count}" if (count := bands[breakdown.UNJUDGED]["problems"]) else ""
    if not solved:
        return [f"  problems {never}"]
    band = min(solved, key=lambda band: band["max_pass_rate"])
    if len(solved) == 1 and band["max_pass_rate"] == 1:
        return [f"  problems {never}"]
    return [
        f"  hardest problems (pass rate ≤ {band['max_pass_rate']:.0%}): {band['problems_with_example']} of {band['problems']} gave an example; {never}"
    ]
