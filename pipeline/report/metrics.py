"""The numbers of the report: of problems, verdicts, examples, and of each method's versions. Token counts are the scorer's, of the thinking."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.report import breakdown
from pipeline.stages.base import versions_of
from transforms import annotate
from transforms.core.drops import Drop
from transforms.core.records import Annotations, Outcome, Problem, Pruned, Rechecked, Verdict, problem_of
from transforms.emit import SPLITS
from transforms.selection.difficulty import SAMPLES, failed_samples
from transforms.shards.joins import decided
from transforms.storage.parts import read_rows

STATUSES = ("passed", "mended", "rolled_back", "gave_up")
EQUATIONS = ("true", "rounded", "false", "corrected", "unknown")


def measure(params: Params, paths: Paths, verdicts: list[Verdict]) -> dict[str, Any]:
    """All numbers of the report; DVC shows all but the lists. Token counts are the scorer's, of the thinking."""
    traces = paths.folder("traces")
    teachers_drops = list(read_rows(Drop, [traces.drops_path()]))
    samples_of = Counter(v.problem_id for v in verdicts) + Counter(
        problem_of(drop.id) for drop in teachers_drops if drop.reason in SAMPLES
    )
    family_of = {p.id: p.family for p in read_rows(Problem, paths.folder("problems").part_paths())}
    problems, samples = Counter(family_of.values()), sum(samples_of[problem] for problem in family_of)
    correct = breakdown.correct_traces(verdicts)
    kept = list(_numbers(params, paths, family_of))
    before, after = sum(k["before"] for k in kept), sum(k["after"] for k in kept)
    formats = {name: paths.folder("shards", name).finished_manifest() for name in params.emit.formats}
    splits = dict.fromkeys(SPLITS, 0)
    for part in next(iter(formats.values()))["parts"]:
        splits[part["name"].split("/")[0]] += part["rows"]
    return {
        "problems": problems.total(),
        "samples": samples,
        "traces": len(verdicts),
        "verdicts": {outcome.value: sum(v.outcome == outcome for v in verdicts) for outcome in Outcome},
        "verdicts_by_reference": breakdown.outcomes(verdicts, "reference"),
        "verdicts_by_rule": breakdown.outcomes(verdicts, "rule"),
        "undecided_reasons": breakdown.undecided_reasons(verdicts),
        "verified_share": _share(len(correct), samples),
        "examples": {**splits, "total": len(kept)},
        "asked_examples": params.filter.num_examples,
        "thinking_tokens": {
            "before": before,
            "after": after,
            "kept_share": _share(after, before),
            "mean_after": _share(after, len(kept)),
        },
        "chosen_methods": dict(sorted(Counter(k["method"] for k in kept).items())),
        "difficulty": breakdown.difficulty(
            family_of, verdicts, failed_samples(teachers_drops), [k["problem"] for k in kept], params.filter.bands
        ),
        "families": _families(family_of, samples_of, verdicts, kept),
        "teachers": breakdown.teachers(traces.columns("id", "model", "recorded"), verdicts, [k["model"] for k in kept]),
        "methods": {method: by_method(_results(paths, method), correct) for method in params.prune.methods},
        "opinions": _opinions(params, paths),
        "dropped": _dropped(params, paths),
    }


def _opinions(params: Params, paths: Paths) -> dict[str, Any]:
    """Of the teacher on the steps; empty where it was not asked."""
    if not params.prune.opinions:
        return {}
    annotations: list[Annotations] = list(read_rows(Annotations, paths.folder("annotations").part_paths()))
    labels = annotate.label_counts(annotations)
    return {
        "labels": labels,
        "degenerate": annotate.degenerate_opinions(labels),
        "steps": sum(len(trace.opinions) for trace in annotations),
        "undecided": sum(trace.num_undecided for trace in annotations),
        "rewrites": sum(len(trace.rewrites) for trace in annotations),
    }


def _numbers(params: Params, paths: Paths, family_of: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Of the versions that were kept."""
    kept = set(paths.folder("kept").columns("id", "method"))
    model_of: dict[str, str] = dict(paths.folder("traces").columns("id", "model"))
    for method in params.prune.methods:
        tokens = paths.folder("rechecked", method).columns("id", "num_tokens_before", "num_tokens_after")
        for name, before, after in tokens:
            if (name, method) in kept:
                problem = problem_of(name)
                about = {"problem": problem, "family": family_of[problem], "method": method, "model": model_of[name]}
                yield about | {"before": before, "after": after}


def _results(paths: Paths, method: str) -> Iterator[tuple[Pruned, Rechecked]]:
    """What the method and the re-check found of each trace, without its text."""
    for parts in zip(*(paths.folder(name).part_paths() for name in versions_of([method])), strict=True):
        yield from decided(*parts)


def _families(
    family_of: dict[str, str], samples_of: Counter[str], verdicts: list[Verdict], kept: list[dict[str, Any]]
) -> dict[str, Any]:
    """For each family of problems; a sample that gave no trace counts as not verified."""
    problems, found = Counter(family_of.values()), {}
    samples: Counter[str] = Counter()
    for problem, family in family_of.items():
        samples[family] += samples_of[problem]
    for family, num_problems in problems.items():
        correct = [v for v in verdicts if v.family == family and v.outcome == Outcome.CORRECT]
        found[family] = {
            "problems": num_problems,
            "problems_solved": len({verdict.problem_id for verdict in correct}),
            "samples": samples[family],
            "verified_share": _share(len(correct), samples[family]),
            "examples": sum(k["family"] == family for k in kept),
        }
    return found


def by_method(versions: Iterable[tuple[Pruned, Rechecked]], correct: Mapping[str, str]) -> dict[str, Any]:
    """Of one method's traces that are `correct`: what the re-check said, in all and by family, tokens and likelihoods."""
    statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    total: defaultdict[str, float] = defaultdict(float)
    for pruned, trace in versions:
        if trace.outcome == Outcome.CORRECT and trace.id in correct:
            statuses[correct[trace.id]][trace.status] += 1
            total["unsupported"] += not trace.supported
            total["shortfall"] += bool(pruned.shortfall)
            total["dangling"] += bool(trace.dangling)
            for name in EQUATIONS:
                total[name] += getattr(trace.arithmetic, f"num_{name}")
            total["rewritten"] += sum(bool(d.text) and d.step not in trace.given_back for d in pruned.decisions)
            total["correct"] += 1
            total["before"] += trace.num_tokens_before
            total["pruned"] += trace.num_tokens_pruned
            total["after"] += trace.num_tokens_after
            before = trace.support_before_nats_per_token
            changes = {
                "loglik": trace.answer_loglik_pruned_nats_per_token - trace.answer_loglik_before_nats_per_token,
                "support": trace.support_after_nats_per_token - before,
                "pruned_support": trace.support_pruned_nats_per_token - before,
            }
            for name, change in changes.items():
                if not math.isnan(change):
                    total[name] += change
                    total[f"with_{name}"] += 1
    everywhere = sum(statuses.values(), Counter())
    return {
        "statuses": dict(sorted(everywhere.items())),
        "rates": _rates(everywhere),
        "families": {family: _rates(counts) for family, counts in sorted(statuses.items())},
        "unsupported_traces": int(total["unsupported"]),
        "shortfall_traces": int(total["shortfall"]),
        "rewrites": int(total["rewritten"]),
        "dangling_share": _share(total["dangling"], total["correct"]),
        "mended_share": _share(everywhere["mended"], total["correct"]),
        "equations": {name: int(total[name]) for name in EQUATIONS},
        "mean_support_change_nats_per_token": _share(total["support"], total["with_support"], 4),
        "mean_pruned_support_change_nats_per_token": _share(total["pruned_support"], total["with_pruned_support"], 4),
        "correct_traces": int(total["correct"]),
        "tokens_before": int(total["before"]),
        "tokens_pruned": int(total["pruned"]),
        "tokens_after": int(total["after"]),
        "kept_share": _share(total["after"], total["before"]),
        "mean_pruned_loglik_change_nats_per_token": _share(total["loglik"], total["with_loglik"], 4),
    }


def _rates(statuses: Counter[str]) -> dict[str, float]:
    """Shares of the traces that passed, were mended, were rolled back, and were given up."""
    return {status: _share(statuses[status], statuses.total()) for status in STATUSES}


def _dropped(params: Params, paths: Paths) -> dict[str, dict[str, int]]:
    names = ["problems", "traces", "verdicts", "steps", "scores", "kept"]
    names += ["annotations"] * bool(params.prune.opinions)
    names += [f"{folder}/{method}" for folder in ("pruned", "rechecked") for method in params.prune.methods]
    counts = {name: paths.folder(name).finished_manifest()["rows"]["dropped"] for name in names}
    return {name: dropped for name, dropped in counts.items() if dropped}


def tokens_csv(params: Params, paths: Paths, correct: Mapping[str, str]) -> str:
    """A row for each correct trace and method, for `dvc plots`; `correct` has the family of each such trace."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "method", "family", "status", "tokens_before", "tokens_after"])
    for method in params.prune.methods:
        found = paths.folder("rechecked", method)
        columns = found.columns("id", "outcome", "status", "num_tokens_before", "num_tokens_after")
        for name, outcome, status, before, after in columns:
            if outcome == Outcome.CORRECT and name in correct:
                rows.writerow([name, method, correct[name], status, before, after])
    return text.getvalue()


def _share(part: float, whole: float, digits: int = 4) -> float:
    return round(part / whole, digits) if whole else 0.0
