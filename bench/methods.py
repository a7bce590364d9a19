"""Pruning methods at budgets, on real traces: what stays, and whether it still carries the answer.

    python -m bench.methods data/models/qwen2.5-coder-0.5b-instruct data/models/qwen2.5-coder-1.5b-instruct --traces 40 --math 10

The scorer (0.5B) ranks steps and gives likelihoods; the reader (1.5B) has to answer at once after the pruned thinking, and is
the teacher where opinions are asked for. Seconds are those of this run: answers that are kept cost none, and the re-check of
the first way pays for the originals.
Both are asked twice: after what is left as it is (`plain`), and without the sentences that only state the answer
(`masked`). Prints one JSON line: for each method and budget the share of tokens kept, that of versions in which something dangles as pruned and
after the re-check (`coherence`; beside it the same re-check without coherence), the change of the answer's log-likelihood in nats per token, the share of traces from which the reader gives the right answer with its Wilson
interval (95 %), the rates of the re-check, and seconds per trace; beside them the original and no thinking at all.

Traces are correct ones of DeepSeek-R1 on GSM8K and MATH (SHARED_DATA) in an order by checksum, or with --data those in a
data folder. Answers are kept in --cache, so that a run that was stopped goes on, and more traces cost only themselves.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import binomtest

from transforms import annotate, recheck, score
from transforms.answers.final import final_answer
from transforms.answers.thinking import Parts, split_thinking
from transforms.core.records import Outcome, Problem, Pruned, Rechecked, SegmentedTrace, TraceScores, asked
from transforms.inference import weights as models
from transforms.inference.cache import Cache
from transforms.inference.dialogue import Dialogue, play
from transforms.inference.models import Model, TransformersModel, VllmModel
from transforms.inference.requests import Completion, Exchange, GenerateRequest, Request, Sampling
from transforms.judging import Config as Judging
from transforms.judging import judge_response
from transforms.prune import dialogue, prune
from transforms.pruning import METHODS, needs
from transforms.pruning.given import PruneInput
from transforms.recheck import derivation
from transforms.shards.asking import Asker, LazyEngine, Responder
from transforms.steps.joining import staying
from transforms.steps.splitting import split_steps
from transforms.steps.versions import Version
from transforms.storage.parts import read_rows

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
INSTRUCTION = "Reason step by step, and put the final answer within \\boxed{}."
JUDGING = Judging()
MAX_CHARS = 24_000  # of a thinking; longer ones do not fit into the reader's window


class Way(NamedTuple):
    """A method at a budget, as the table names it."""

    name: str
    method: str
    options: dict[str, Any]


BASELINES = ("random", "head", "tail")
WAYS = {
    "asap, surprisal only": ("asap", {"anchor": "none"}),
    "asap, lexical anchor": ("asap", {"anchor": "lexical"}),
    "step_entropy": ("step_entropy", {"steps": None}),
    **{name: (name, {}) for name in BASELINES},
    "keep_all": ("keep_all", {}),
    "first_correct": ("first_correct", {}),
    "asap, teacher's anchor": ("asap", {"anchor": "teacher"}),
    "drp": ("drp", {}),
    "asap, iterative": ("asap", {"anchor": "none", "mode": "iterative"}),
    "answer_likelihood, gain": ("answer_likelihood", {"mode": "gain", "masked": True}),
    "answer_likelihood, sequential": ("answer_likelihood", {}),
    "answer_likelihood, sequential, masked": ("answer_likelihood", {"masked": True}),
}

COSTLY = (  # which ask the teacher, or the scorer once a step or round
    "asap, teacher's anchor",
    "drp",
    "asap, iterative",
    "answer_likelihood, sequential",
    "answer_likelihood, sequential, masked",
)


def ways(names: Sequence[str], ratios: Sequence[float]) -> Iterator[Way]:
    """Each way at each budget; those without a budget once."""
    for name in names:
        method, options = WAYS[name]
        if METHODS[method].Config(**options).has_budget:
            for ratio in ratios:
                yield Way(f"{name} {ratio}", method, {**options, "ratio": ratio})
        else:
            yield Way(name, method, options)


class Asked:
    """A model whose answers are kept."""

    def __init__(self, model: Model, cache: str):
        self._model, self._cache = model, cache

    @cached_property
    def engine(self) -> LazyEngine:
        """The model, loaded when it is first asked."""
        return LazyEngine(self._model, self._model.model)

    def play(self, label: str, dialogues: Sequence[Dialogue[Any]]) -> list[Any]:
        """What each dialogue returns."""
        return play(dialogues, self.responder(label, len(dialogues)))

    def responder(self, label: str, rows: int) -> Responder:
        """What answers dialogues."""
        cache = Cache(self._cache, models.identity(self._model, self._model.model, scores=True))
        return Responder(Asker(self._model, self._model.model, cache, label, rows), self.engine)

    def ask(self, label: str, rows: Sequence[Any], ask: Callable[[Any], Sequence[Request]]) -> list[list[Exchange]]:
        """What comes back for each row."""

        def once(row: Any) -> Dialogue[list[Exchange]]:
            return (yield ask(row))

        return self.play(label, [once(row) for row in rows])


def real_traces(gsm8k: int, maths: int, unit: Any = "paragraph") -> Iterator[SegmentedTrace]:
    """Correct traces of DeepSeek-R1 in steps, in an order by checksum."""
    for file, count in (("gsm8k_deepseek-r1", gsm8k), ("math_deepseek-r1", maths)):
        with gzip.open(SHARED / "traces" / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
            rows = sorted(map(json.loads, lines), key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
        found = 0
        for row in rows:
            parts = split_thinking(row["response"])
            problem = Problem(
                row["problem_id"], file, file.split("_")[0], asked(row["question"]), row["reference_answer"], "math", ""
            )
            if not isinstance(parts, Parts) or len(parts.thinking) > MAX_CHARS or found == count:
                continue
            if judge_response(parts.response, problem, JUDGING)[1].outcome == Outcome.CORRECT:
                prompt = f"{row['question']}\n\n{INSTRUCTION}"
                yield SegmentedTrace(
                    id=row["id"],
                    problem=problem,
                    model="r1",
                    prompt=prompt,
                    thinking=parts.thinking,
                    response=parts.response,
                    answer=final_answer(parts.response, problem),
                    steps=split_steps(parts.thinking, unit),
                )
                found += 1


def own_traces(data: str, count: int, unit: Any = None) -> Iterator[SegmentedTrace]:
    """Correct traces of a data folder, in an order by checksum; cut anew where a unit is given."""
    paths = sorted(str(path) for path in Path(data, "steps").glob("part-*.parquet"))
    traces: list[SegmentedTrace] = sorted(
        read_rows(SegmentedTrace, paths), key=lambda t: hashlib.sha256(t.id.encode()).hexdigest()
    )
    correct = (t for t in traces if judge_response(t.response, t.problem, JUDGING)[1].outcome == Outcome.CORRECT)
    for trace in islice(correct, count):
        yield replace(trace, steps=split_steps(trace.thinking, unit)) if unit else trace


def scored(traces: Sequence[SegmentedTrace], scorer: Asked) -> list[PruneInput]:
    """The traces with their scores."""
    found = scorer.play("scores", [score.dialogue(trace, score.Config(), "scorer") for trace in traces])
    assert all(isinstance(one, TraceScores) for one in found), found
    return list(map(PruneInput, traces, found))


def annotated(given: Sequence[PruneInput], way: Way, teacher: Asked | None) -> list[PruneInput]:
    """The traces with the opinions that this way reads."""
    wanted = tuple(needs(way.method, METHODS[way.method].Config(**way.options)) & {"actions", "path", "rewrites"})
    if not wanted:
        return list(given)
    assert teacher, f"{way.name} needs the teacher's opinions"
    talks = [annotate.dialogue(one.trace, annotate.Config(), "", wanted) for one in given]
    found = teacher.play(f"annotate {way.name}", talks)
    return [one._replace(annotations=opinion) for one, opinion in zip(given, found, strict=True)]


def pruned(given: Sequence[PruneInput], way: Way, scorer: Asked, teacher: Asked | None = None) -> list[Version]:
    """The traces, pruned in one way."""
    config, given = METHODS[way.method].Config(**way.options), annotated(given, way, teacher)
    if "scorer" in needs(way.method, config):
        found = scorer.play(f"prune {way.name}", [dialogue(one, way.method, config) for one in given])
    else:
        found = [outcome for one in given for outcome in prune(one, way.method, config)]
    assert all(isinstance(one, Pruned) for one in found), found
    return [Version(one.trace, decided) for one, decided in zip(given, found, strict=True)]


def rechecked(
    versions: Sequence[Version], scorer: Asked, label: str, roll_back: bool, coherence: bool = True
) -> list[Version]:
    """All that the re-check says of the versions; without `roll_back` any support will do."""
    max_loss = {} if roll_back else {"max_loss_nats_per_token": 1e6}
    config = recheck.Config(coherence=coherence, **max_loss)
    found = scorer.play(label, [recheck.dialogue(version, config, JUDGING) for version in versions])
    assert all(isinstance(one, Rechecked) for one in found), found
    return [replace(version, rechecked=one) for version, one in zip(versions, found, strict=True)]


def tokens_after(checks: Sequence[Rechecked]) -> float:
    """The share of the tokens that stays after the re-check."""
    return round(sum(c.num_tokens_after for c in checks) / sum(c.num_tokens_before for c in checks), 3)


def dangling(versions: Sequence[Version]) -> dict[str, float]:
    """The share of final versions in which something dangles."""
    found = 0
    for version in versions:
        stays = staying(version.trace.texts, version.pruned.decisions, version.result.given_back)
        found += bool(recheck.flow_of(version.trace).edges(stays))
    return {"dangles": round(found / len(versions), 3)}


def has_support(version: Version) -> bool:
    """Whether what the method left reaches what the re-check wants; where nothing was deleted, it wants nothing."""
    check = version.result
    support = recheck.Measured(
        check.support_before_nats_per_token,
        check.support_pruned_nats_per_token,
        check.answer_loglik_without_nats_per_token,
    )
    least = support.least(recheck.Config().max_loss_nats_per_token)
    return version.proposed == version.trace.thinking or support.pruned >= least


def read(trace: SegmentedTrace, thinking: str) -> GenerateRequest:
    """The reader has to answer at once."""
    sampling = Sampling(temperature=0.0, max_tokens=48)
    return recheck.answer_at_once(trace.prompt, thinking, trace.problem.answer_kind, sampling)


def is_right(trace: SegmentedTrace, exchange: Exchange) -> bool:
    """Whether the reader's answer is."""
    assert isinstance(exchange.response, Completion), exchange.response
    response = recheck.said_at_once(exchange.response, trace.problem.answer_kind)
    return judge_response(response, trace.problem, JUDGING)[1].outcome == Outcome.CORRECT


def share(right: Sequence[bool]) -> dict[str, Any]:
    """Of the right ones, in percent, with Wilson's interval."""
    low, high = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    return {
        "right": sum(right),
        "percent": round(100 * sum(right) / len(right), 1),
        "wilson": [round(100 * low, 1), round(100 * high, 1)],
    }


def mean(values: Sequence[float]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if not math.isnan(value)]
    return round(math.fsum(known) / len(known), 4) if known else None


def measure(
    given: Sequence[PruneInput], way: Way, scorer: Asked, reader: Asked | None, roll_back: bool
) -> tuple[dict[str, Any], list[Version]]:
    """A row of the table."""
    started = time.monotonic()
    versions = pruned(given, way, scorer, reader)
    pruned_at = time.monotonic()
    seen = rechecked(versions, scorer, way.name, roll_back)
    checks = [version.result for version in seen]
    checked_at = time.monotonic()
    incoherent = rechecked(versions, scorer, f"{way.name} without coherence", roll_back, coherence=False)
    holds = [has_support(version) for version in seen]
    before = sum(c.num_tokens_before for c in checks)
    row: dict[str, Any] = {
        "traces": len(given),
        "tokens_kept": round(sum(c.num_tokens_pruned for c in checks) / before, 3),
        "shortfalls": sum(bool(version.pruned.shortfall) for version in versions),
        "plain_change_nats": mean(
            [c.answer_loglik_pruned_nats_per_token - c.answer_loglik_before_nats_per_token for c in checks]
        ),
        "masked_change_nats": mean([c.support_pruned_nats_per_token - c.support_before_nats_per_token for c in checks]),
        "holds": round(sum(holds) / len(holds), 3),
        "prune_seconds_per_trace": round((pruned_at - started) / len(given), 4),
        "recheck_seconds_per_trace": round((checked_at - pruned_at) / len(given), 4),
        "dangles": round(sum(bool(check.dangling) for check in checks) / len(checks), 3),
        "coherence": dangling(seen) | {"tokens": tokens_after(checks)},
        "without_coherence": dangling(incoherent)
        | {"tokens": tokens_after([version.result for version in incoherent])},
    }
    if roll_back:
        statuses = ("passed", "mended", "rolled_back", "gave_up")
        row["rates"] = {status: round(sum(c.status == status for c in checks) / len(checks), 3) for status in statuses}
        row["tokens_after_recheck"] = tokens_after(checks)
    if reader:
        row |= read_both([version.trace for version in seen], [version.proposed for version in seen], reader, way.name)
    return row, seen


def read_both(traces: Sequence[SegmentedTrace], thinkings: Sequence[str], reader: Asked, label: str) -> dict[str, Any]:
    """The reader's answers after the thinkings, plain and masked."""
    rows = [(trace, [thinking, derivation(trace, thinking)]) for trace, thinking in zip(traces, thinkings, strict=True)]
    exchanges = reader.ask(f"read {label}", rows, lambda row: [read(row[0], text) for text in row[1]])
    right = [[is_right(row[0], one) for one in answers] for row, answers in zip(rows, exchanges, strict=True)]
    return {"plain": share([one[0] for one in right]), "masked": share([one[1] for one in right])}


def shortest(candidates: Sequence[Version]) -> Version:
    """The portfolio's choice for a trace: equals go to the first."""
    return min(candidates, key=lambda candidate: candidate.result.num_tokens_after)


def draw(table: dict[str, Any], names: Sequence[str], num_traces: int, path: str) -> None:
    """How often the reader is right without the statements, over the tokens that stay: a line a way, with Wilson intervals."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for label, style in (("original", "--"), ("no thinking", ":")):
        axes.axhline(table[label]["masked"]["percent"], color="grey", linestyle=style, label=label)
    for name in names:
        rows = [row for key, row in table.items() if re.fullmatch(rf"{re.escape(name)}(?: [\d.]+)?", key)]
        rows.sort(key=lambda row: row["tokens_kept"])
        shares = [row["masked"] for row in rows]
        right = [share["percent"] for share in shares]
        errors = [[abs(share["percent"] - share["wilson"][end]) for share in shares] for end in (0, 1)]
        axes.errorbar([100 * row["tokens_kept"] for row in rows], right, errors, marker="o", capsize=3, label=name)
    axes.set(
        xlabel="% of the tokens stay", ylabel="% right, statements of the answer masked", xlim=(0, None), ylim=(0, 100)
    )
    axes.set_title(f"{num_traces} traces, before any re-check", fontsize="medium")
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "methods"}):  # equal tables, equal bytes
        figure.savefig(path, format="svg", metadata={"Date": None})


def asked_for() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scorer", nargs="?", default="data/models/qwen2.5-coder-0.5b-instruct")
    parser.add_argument("reader", nargs="?", default="data/models/qwen2.5-coder-1.5b-instruct")
    parser.add_argument("--traces", type=int, default=8, help="of GSM8K, or of the data folder")
    parser.add_argument("--math", type=int, default=2, help="of MATH")
    parser.add_argument("--data", help="a data folder whose traces are taken, in place of the real ones")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.25])
    parser.add_argument(
        "--ways",
        nargs="+",
        default=[name for name in WAYS if name not in COSTLY],
        choices=list(WAYS),
        help="without it all but the costly ones",
    )
    parser.add_argument(
        "--unit", choices=["paragraph", "sentence", "cue"], help="paragraph; with --data as they are cut there"
    )
    parser.add_argument("--cache", default="data/cache")
    parser.add_argument(
        "--roll-back-at",
        type=float,
        default=0.25,
        help="the budget whose versions are rolled back; the portfolio is over these",
    )
    parser.add_argument("--picture", help="an SVG file to draw the table in; needs the reader")
    parser.add_argument("--scorer-only", action="store_true", help="leave the reader out")
    parser.add_argument(
        "--ways-only", action="store_true", help="do not read the originals, where an earlier run of these traces has"
    )
    options = parser.parse_args()
    if options.picture and (options.scorer_only or options.ways_only):
        parser.error("--picture draws what the reader says of all; --scorer-only and --ways-only leave some of it out")
    return options


def main() -> None:
    """Prints the line."""
    options = asked_for()
    scorer = Asked(TransformersModel(engine="transformers", model=options.scorer, max_model_len=16_384), options.cache)
    reader = (
        None
        if options.scorer_only
        else Asked(VllmModel(engine="vllm", model=options.reader, max_model_len=12_288, max_num_seqs=16), options.cache)
    )
    traces = list(
        own_traces(options.data, options.traces, options.unit)
        if options.data
        else real_traces(options.traces, options.math, options.unit or "paragraph")
    )
    _, started = scorer.engine, time.monotonic()
    given = scored(traces, scorer)
    table: dict[str, Any] = {"scores": {"seconds_per_trace": round((time.monotonic() - started) / len(given), 4)}}
    all_checks = []
    if reader and not options.ways_only:
        table["original"] = read_both(traces, [trace.thinking for trace in traces], reader, "original")
        table["no thinking"] = read_both(traces, ["" for _ in traces], reader, "no thinking")
    for way in ways(options.ways, options.ratios):
        at_budget = way.options.get("ratio", options.roll_back_at) == options.roll_back_at
        roll_back = at_budget and way.method not in BASELINES
        table[way.name], checks = measure(given, way, scorer, reader, roll_back)
        if roll_back:
            all_checks.append(checks)
        print(json.dumps({way.name: table[way.name]}), flush=True)
    if not all_checks:
        all_checks = [rechecked(pruned(given, Way("keep_all", "keep_all", {}), scorer), scorer, "keep_all", False)]
    chosen = [shortest(candidates) for candidates in zip(*all_checks, strict=True)]
    results = [version.result for version in chosen]
    table["portfolio"] = {
        "tokens_kept": tokens_after(results),
        "masked_change_nats": mean([c.support_after_nats_per_token - c.support_before_nats_per_token for c in results]),
    }
    if reader:
        table["portfolio"] |= read_both(
            [one.trace for one in chosen], [one.final for one in chosen], reader, "portfolio"
        )
    if options.picture:
        draw(table, options.ways, len(traces), options.picture)
    print(
        json.dumps(
            {"bench": "methods", "traces": len(traces), "tokens": sum(one.num_tokens for one in given), "table": table}
        )
    )


if __name__ == "__main__":
    main()
