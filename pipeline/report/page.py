"""Sums up a run: metrics.json, tokens.csv, index.html and a manifest in report/, and the closing lines of `dvc repro`.

    metrics.json  {"examples": {"train": 29, "validation": 4}, "thinking_tokens": {"before": 241.0, …}, …}
    tokens.csv    id,method,family,status,tokens_before,tokens_after — a row for each correct trace and method

Everything comes from the stages' folders and nothing from clocks, so the same data gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from itertools import groupby, islice
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.freshness import depends_on, refuse_stale
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.report import breakdown
from transforms import annotate
from transforms.core.drops import Drop, DropReason
from transforms.core.records import Action, Annotations, Decision, KeptTrace, Outcome, Problem, RecheckedTrace, Verdict
from transforms.emit import SPLITS
from transforms.selection.difficulty import SAMPLES, failed_samples
from transforms.storage import files as storage
from transforms.storage.folders import MANIFEST, StageFolder, lineage
from transforms.storage.parts import read_rows

STATUSES = ("passed", "mended", "rolled_back", "gave_up")
EQUATIONS = ("true", "rounded", "false", "corrected", "unknown")
METRICS, TOKENS, PAGE = "metrics.json", "tokens.csv", "index.html"


def write(params: Params, paths: Paths) -> dict[str, Any]:
    """Writes the files, prints the summary, returns the metrics.

    Raises:
        InputError: a stage has not finished, two of them belong to different runs, or one was made from what is no longer there.
    """
    names = ["problems", "traces", "verdicts", "kept", *(f"shards/{name}" for name in params.emit.formats)]
    names += [f"rechecked/{name}" for name in params.prune.methods]
    names += ["annotations"] * bool(params.prune.opinions)
    given = {name: paths.folder(name) for name in names}
    inputs = lineage(given)
    refuse_stale(given, inputs, paths)
    rechecked = {method: paths.folder("rechecked", method) for method in params.prune.methods}
    verdicts = list(read_rows(Verdict, paths.folder("verdicts").part_paths()))
    metrics = measure(params, paths, rechecked, verdicts)
    folder = paths.stage("report")
    storage.write_bytes(storage.join(folder, METRICS), (json.dumps(metrics, indent=2, sort_keys=True) + "\n").encode())
    storage.write_bytes(storage.join(folder, TOKENS), tokens_csv(rechecked, breakdown.correct_ids(verdicts)).encode())
    storage.write_bytes(
        storage.join(folder, PAGE), page(metrics, samples(paths, rechecked, params.report.samples)).encode()
    )
    manifest = {**depends_on("report", params), "inputs": inputs}
    storage.write_bytes(
        storage.join(folder, MANIFEST), (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
    )
    print(summary(metrics, paths), file=sys.stderr)
    return metrics


def measure(params: Params, paths: Paths, rechecked: dict[str, StageFolder], verdicts: list[Verdict]) -> dict[str, Any]:
    """All numbers of the report; DVC shows all but the lists. Token counts are the scorer's, of the thinking."""
    traces = paths.folder("traces")
    teachers_drops = list(read_rows(Drop, [traces.drops_path()]))
    samples_of = Counter(v.problem_id for v in verdicts) + Counter(
        drop.id.rpartition("/")[0] for drop in teachers_drops if drop.reason in SAMPLES
    )
    family_of = {p.id: p.family for p in read_rows(Problem, paths.folder("problems").part_paths())}
    problems, samples = Counter(family_of.values()), sum(samples_of[problem] for problem in family_of)
    correct = breakdown.correct_ids(verdicts)
    kept = list(_numbers(read_rows(KeptTrace, paths.folder("kept").part_paths())))
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
        "methods": {
            method: by_method(read_rows(RecheckedTrace, folder.part_paths()), correct)
            for method, folder in rechecked.items()
        },
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


def _numbers(kept: Iterable[KeptTrace]) -> Iterable[dict[str, Any]]:
    for trace in kept:
        yield {
            "problem": trace.problem.id,
            "method": trace.method,
            "model": trace.model,
            "family": trace.problem.family,
            "before": trace.num_tokens_before,
            "after": trace.num_tokens_after,
        }


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


def by_method(traces: Iterable[RecheckedTrace], correct: set[str]) -> dict[str, Any]:
    """Of one method's traces that are `correct`: what the re-check said, in all and by family, tokens and likelihoods."""
    statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
    total: defaultdict[str, float] = defaultdict(float)
    for trace in traces:
        if trace.outcome == Outcome.CORRECT and trace.id in correct:
            statuses[trace.problem.family][trace.status] += 1
            total["unsupported"] += not trace.supported
            total["shortfall"] += bool(trace.shortfall)
            total["dangling"] += bool(trace.dangling)
            for name in EQUATIONS:
                total[name] += getattr(trace.arithmetic, f"num_{name}")
            total["rewritten"] += sum(bool(d.text) and d.step not in trace.given_back for d in trace.decisions)
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


def tokens_csv(rechecked: dict[str, StageFolder], correct: set[str]) -> str:
    """A row for each correct trace and method, for `dvc plots`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "method", "family", "status", "tokens_before", "tokens_after"])
    for method, folder in rechecked.items():
        for trace in read_rows(RecheckedTrace, folder.part_paths()):
            if trace.outcome == Outcome.CORRECT and trace.id in correct:
                rows.writerow(
                    [
                        trace.id,
                        method,
                        trace.problem.family,
                        trace.status,
                        trace.num_tokens_before,
                        trace.num_tokens_after,
                    ]
                )
    return text.getvalue()


def samples(paths: Paths, rechecked: dict[str, StageFolder], count: int) -> list[dict[str, Any]]:
    """Traces with each step and how it looks (gone, back or ""): of those kept the `count` that lost the most tokens,
    and after them the one of any method that the re-check gave the most tokens back, if there is one.
    """
    if not count:
        return []
    kept = sorted(
        read_rows(KeptTrace, paths.folder("kept").part_paths()),
        key=lambda t: (t.num_tokens_after - t.num_tokens_before, t.id),
    )
    wanted = {(trace.id, trace.method): number for number, trace in enumerate(islice(kept, count))}
    shown: dict[int, RecheckedTrace] = {}
    for folder in rechecked.values():
        for trace in read_rows(RecheckedTrace, folder.part_paths()):
            if (trace.id, trace.method) in wanted:
                shown[wanted[trace.id, trace.method]] = trace
            elif trace.status in ("mended", "rolled_back"):
                shown[count] = max(shown.get(count, trace), trace, key=_given_back)
    return [{"trace": shown[number], "steps": _steps(shown[number])} for number in sorted(shown)]


def _given_back(trace: RecheckedTrace) -> int:
    return trace.num_tokens_after - trace.num_tokens_pruned


def _steps(trace: RecheckedTrace) -> list[dict[str, Any]]:
    """Steps that stand together and share look and reason are one."""
    found = []
    for (look, reason, _), run in groupby(trace.decisions, partial(_look, trace)):
        first, *more = run
        start, end = trace.steps[first.step].start, trace.steps[(more or [first])[-1].step].end
        rewritten = "" if look == "back" else first.text.strip("\n")
        text = trace.thinking[start:end].strip("\n")
        found.append({"text": text, "look": look, "rewritten": rewritten, "reason": reason})
    return found


def _look(trace: RecheckedTrace, decision: Decision) -> tuple[str, str, int]:
    """How a step looks and why; each rewrite is something of its own."""
    is_back, is_kept = decision.step in trace.given_back, decision.action == Action.KEEP
    look = "back" if is_back else "" if is_kept else "gone"
    missed = ", ".join(edge.said for edge in trace.dangling if edge.producer == decision.step)
    reason = f"{decision.reason}; needed for {missed}" if missed and is_back else decision.reason
    return look, reason, decision.step if decision.text and not is_back else -1


def page(metrics: dict[str, Any], shown: list[dict[str, Any]]) -> str:
    """The report as one HTML file without scripts; model text is escaped."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(metrics=metrics, samples=shown)


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


def _share(part: float, whole: float, digits: int = 4) -> float:
    return round(part / whole, digits) if whole else 0.0
