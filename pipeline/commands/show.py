"""`python -m pipeline show ID [--method M]`: a trace in the terminal, its removed steps struck out, with scores and reasons.

Model text is printed as it is, but for control characters, which could rewrite the terminal.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Sequence
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.params import Params
from pipeline.paths import Paths
from transforms.core.drops import Drop, DropReason
from transforms.core.errors import InputError
from transforms.core.records import (
    Action,
    Decision,
    Edge,
    Kept,
    Pruned,
    Rechecked,
    SegmentedTrace,
    StepScore,
    TraceScores,
)
from transforms.steps.versions import Version
from transforms.storage.folders import StageFolder, is_changed, lineage
from transforms.storage.parts import find_row, read_rows

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
MARKS = {Action.KEEP: "", Action.DELETE: "−", Action.REWRITE: "≈", Action.MERGE: "≈"}
MAX_IDS = 50
MAX_EDGES = 3  # of a step, that are named
WIDE = 110  # columns of a terminal that holds all of the table
Row = TypeVar("Row")


def show(params: Params, paths: Paths, trace_id: str, method: str = "", console: Console | None = None) -> None:
    """Prints the trace as `method` pruned it; without one, as the method that `filter` chose, or the first that deletes.

    An imported trace may be named as it was in its own file, too.

    Raises:
        InputError: the method has not been run, or has no such trace.
    """
    trace_id, name = _named(paths, trace_id)
    chosen = _chosen(paths, trace_id)
    method = method or chosen or next((name for name in params.prune.methods if name != "keep_all"), "keep_all")
    folder = paths.folder("pruned", method)
    pruned = find_row(Pruned, folder.part_paths(), trace_id)
    if pruned is None:
        if dropped := _dropped(paths, method, trace_id):
            raise InputError(dropped)
        known = [found for (found,) in folder.columns("id")]
        begun = [found for found in known if found.startswith(trace_id)]
        near = begun[:3] or difflib.get_close_matches(trace_id, known, n=3) or known[:3]
        raise InputError(f"{folder.path} has no trace {trace_id!r}; it has for example {clean(', '.join(near))}")
    given = {f"pruned/{method}": folder}
    lineage({**given, "steps": paths.folder("steps")})
    trace = find_row(SegmentedTrace, paths.folder("steps").part_paths(), trace_id)
    if trace is None:
        raise InputError(
            f"{folder.path} has {trace_id} and {paths.stage('steps')} has not: run the stages again, or `dvc repro`"
        )
    rechecked = _beside(Rechecked, given, paths.folder("rechecked", method), trace_id)
    scores = _beside(TraceScores, given, paths.folder("scores"), trace_id)
    console = console or Console(file=sys.stdout)
    about = {None: "", method: "the version that filter kept"}
    state = _why_none(paths, trace_id) if chosen == "" else about.get(chosen, f"filter kept that of {chosen}")
    state = "; ".join(filter(None, (name, state)))
    console.print(page(Version(trace, pruned, rechecked), scores, state, is_wide=console.width >= WIDE))


def page(version: Version, scores: TraceScores | None, state: str = "", is_wide: bool = True) -> Group:
    """What is printed. Where it is narrow, a reason stands below the first of the texts it is of, and roles and surprisals are left out."""
    trace, pruned, rechecked = version.trace, version.pruned, version.rechecked
    given_back, edges = (rechecked.given_back, rechecked.dangling) if rechecked else ((), ())
    heads = ("", "step", "role", "first", "mean", "score", "text", "why") if is_wide else ("", "step", "score", "text")
    table = Table(*heads, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column, name in zip(table.columns, heads, strict=True):
        column.justify = "right" if name in ("step", "first", "mean", "score") else "left"
        column.overflow, column.no_wrap = "fold", name not in ("text", "why")
        column.ratio = {"text": 4, "why": 1}.get(name)
    said = ""
    of_step: tuple[StepScore | None, ...] = scores.steps if scores and scores.steps else (None,) * len(trace.steps)
    for step, decision, score in zip(trace.steps, pruned.decisions, of_step, strict=True):
        is_back = decision.step in given_back
        action = Action.KEEP if is_back else Action(decision.action)
        text = Text(clean(step.text(trace.thinking).strip("\n")), "" if action == Action.KEEP else "strike dim")
        if decision.text and not is_back:
            text = Text.assemble(text, "\n", (f"→ {clean(decision.text.strip())}", "bold"))
        mark, number, why = "+" if is_back else MARKS[action], str(decision.step), clean(_why(decision, is_back, edges))
        if is_wide:
            first, mean = (
                (score.first_token_surprisal_nats, score.mean_surprisal_nats) if score else (math.nan, math.nan)
            )
            ranked = number_of(decision.score)
            table.add_row(mark, number, step.role, number_of(first), number_of(mean), ranked, text, Text(why))
        else:
            text = text if why == said else Text.assemble(text, "\n", (f"({why})", "italic"))
            said = why
            table.add_row(mark, number, number_of(decision.score), text)
    problem = trace.problem
    about = [
        *([state] if state else []),
        problem.question.strip(),
        *([f"reference: {problem.answer}"] if problem.answer else []),
        *_facts(pruned, rechecked),
    ]
    made_by = f"  {pruned.method} (version {pruned.method_version}), teacher: {trace.model}\n"
    head = Text.assemble((clean(pruned.id), "bold"), clean(made_by), clean("\n".join(about)), "\n")
    surprisals = (
        "first, mean: surprisal of the step's first token and of all, nats/token"
        if is_wide
        else f"a step without a reason has that of the one before; roles and surprisals from {WIDE} columns on"
    )
    has_scores = any(not math.isnan(decision.score) for decision in pruned.decisions)
    ranks = (
        f"score: by what {pruned.method} ranks, the lowest go first"
        if has_scores
        else f"{pruned.method} gives no scores"
    )
    legend = f"− deleted, ≈ rewritten (→ to what), + given back; {surprisals}; {ranks}"
    return Group(head, table, Text(clean(trace.response.strip())), Text(f"\n{legend}", "dim"))


def ids(folder: StageFolder, incomplete: str) -> list[str]:
    """Some ids that begin so, to complete one on the command line."""
    try:
        known = (found for (found,) in folder.columns("id") if found.startswith(incomplete))
        return [found for _, found in zip(range(MAX_IDS), known, strict=False)]
    except InputError:
        return []


def clean(text: str) -> str:
    """The text without characters that move the cursor, colour what follows, or turn the direction of writing."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def number_of(value: float) -> str:
    """Two digits after the point; nothing for what is not known."""
    return "" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no "-0.00"


def _why(decision: Decision, is_back: bool, edges: Sequence[Edge]) -> str:
    """The reason, and what other steps miss of this one, or what it misses itself."""
    missed = [edge.said for edge in edges if edge.producer == decision.step]
    misses = [f"{edge.what} of step {edge.producer}" for edge in edges if edge.step == decision.step]
    parts = [
        f"given back{f' for {_listed(missed)}' if missed else ''}" if is_back else "",
        decision.reason,
        f"uses {_listed(misses)}" if misses else "",
    ]
    return "; ".join(filter(None, parts))


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:MAX_EDGES]) + (" …" if len(words) > MAX_EDGES else "")


def _facts(pruned: Pruned, rechecked: Rechecked | None) -> list[str]:
    """What the re-check found, in lines."""
    lines = [f"budget not met: {pruned.shortfall}"] if pruned.shortfall else []
    if rechecked is None:
        return [*lines, "not re-checked yet, or not since it was pruned"]
    lines.append(f"re-check: {rechecked.status}" + (f", as {rechecked.reason}" if rechecked.reason else ""))
    lines.append(
        f"tokens: {rechecked.num_tokens_before}, pruned {rechecked.num_tokens_pruned}, in the end {rechecked.num_tokens_after}"
    )
    if rechecked.dangling:
        lines.append(f"as pruned it used what removed steps say: {_listed([edge.said for edge in rechecked.dangling])}")
    if false := rechecked.arithmetic.false_equations:
        lines.append(f"it computes something false: {'; '.join(false[:MAX_EDGES])}")
    values = (
        rechecked.support_before_nats_per_token, rechecked.support_pruned_nats_per_token,
        rechecked.support_after_nats_per_token, rechecked.answer_loglik_without_nats_per_token,
    )  # fmt: skip
    if not any(map(math.isnan, values[:2])):
        before, proposed, after, without = (number_of(value) or "?" for value in values)
        lines.append(
            f"support of the answer, nats/token: {before}, pruned {proposed}, in the end {after}; without thinking {without}"
        )
        if not rechecked.supported:
            lines.append(
                "the original does not support its answer: compare with that without thinking (docs/recheck.md)"
            )
    return lines


def _named(paths: Paths, name: str) -> tuple[str, str]:
    """The trace with that id, else the first that was imported under that name; and in words what it is named besides."""
    traces = paths.folder("traces")
    rows = traces.columns("id", "origin") if traces.manifest() else ()
    origin_of = {trace_id: origin for trace_id, origin in rows if name in (trace_id, origin)}
    if not origin_of:
        return name, ""
    trace_id = name if name in origin_of else next(iter(origin_of))
    said = [f"in its file: {origin_of[trace_id]}"] if origin_of[trace_id] not in ("", trace_id) else []
    if others := [other for other in origin_of if other != trace_id]:
        more = " …" if len(others) > 3 else ""
        said.append(f"{name} in its file is also {', '.join(others[:3])}{more}")
    return trace_id, "; ".join(said)


def _why_none(paths: Paths, trace_id: str) -> str:
    """Why `filter` kept no version of the trace: what it says of the one that the others lost to."""
    drops = read_rows(Drop, [paths.folder("kept").drops_path()])
    found = [drop for drop in drops if drop.id == trace_id]
    telling = [drop for drop in found if drop.reason != DropReason.LONGER_VERSION] or found
    return ": ".join(["filter kept no version of it", *(f"{drop.method}: {drop.detail}" for drop in telling[:1])])


def _chosen(paths: Paths, trace_id: str) -> str | None:
    """The method whose version `filter` kept, or "" for none; None where it has not run since."""
    kept = paths.folder("kept")
    if kept.manifest() is None:
        return None
    row = find_row(Kept, kept.part_paths(), trace_id)
    chosen = row.method if row else ""
    seen = kept.finished_manifest()["inputs"]
    looked_at = [f"pruned/{chosen}"] if chosen else [name for name in seen if name.startswith("pruned/")]
    changed = (is_changed(paths.folder(*name.split("/")), seen.get(name, "")) for name in looked_at)
    return None if any(changed) else chosen


def _dropped(paths: Paths, method: str, trace_id: str) -> str:
    """Where the trace was dropped, and why; or ""."""
    for name in ("traces", "steps", "scores", "annotations", f"pruned/{method}"):
        folder = paths.folder(name)
        if folder.manifest() and (found := find_row(Drop, [folder.drops_path()], trace_id)):
            return f"{trace_id} was dropped in {folder.path}: {found.reason}: {clean(found.detail)}"
    return ""


def _beside(record: type[Row], pruned: dict[str, StageFolder], folder: StageFolder, trace_id: str) -> Row | None:
    """The trace in another folder, if that is done and belongs to the same run as what was pruned."""
    if folder.manifest() is None:
        return None
    try:
        lineage({**pruned, folder.path: folder})
    except InputError:
        return None
    return find_row(record, folder.part_paths(), trace_id)
