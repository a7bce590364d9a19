"""`python -m pipeline show ID [--method M]`: a trace in the terminal, its removed steps struck out, with scores and reasons.

Model text is printed as it is, but for control characters, which could rewrite the terminal.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pipeline.config import Params
from pipeline.paths import Paths
from transforms.errors import InputError
from transforms.folders import StageFolder, find_row, lineage
from transforms.types import Action, Decision, KeptTrace, PrunedTrace, RecheckedTrace, StepScore, TraceScores

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
MARKS = {Action.KEEP: "", Action.DELETE: "−", Action.REWRITE: "≈", Action.MERGE: "≈"}
MAX_IDS = 50
Row = TypeVar("Row")


def show(params: Params, paths: Paths, trace_id: str, method: str = "", console: Console | None = None) -> None:
    """Prints the trace as `method` pruned it; without one, as the method that `filter` chose, or the first that deletes.

    Raises:
        InputError: the method has not been run, or has no such trace.
    """
    method = method or _chosen(params, paths, trace_id)
    folder = StageFolder(paths.stage("pruned", method))
    pruned = find_row(PrunedTrace, folder.part_paths(), trace_id)
    if pruned is None:
        known = [found for (found,) in folder.columns("id")]
        near = difflib.get_close_matches(trace_id, known, n=3) or known[:3]
        raise InputError(f"{folder.path} has no trace {trace_id!r}; it has for example {clean(', '.join(near))}")
    given = {f"pruned/{method}": folder}
    rechecked = _beside(RecheckedTrace, given, paths.stage("rechecked", method), trace_id)
    scores = _beside(TraceScores, given, paths.stage("scores"), trace_id)
    (console or Console(file=sys.stdout)).print(page(pruned, rechecked, scores))


def page(pruned: PrunedTrace, rechecked: RecheckedTrace | None, scores: TraceScores | None) -> Group:
    """What is printed."""
    given_back = rechecked.given_back if rechecked else ()
    heads = ("", "step", "role", "first", "mean", "score", "text", "why")
    table = Table(*heads, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number in (1, 3, 4, 5):
        table.columns[number].justify = "right"
    table.columns[6].ratio, table.columns[7].ratio = 4, 1
    of_step: tuple[StepScore | None, ...] = scores.steps if scores and scores.steps else (None,) * len(pruned.steps)
    for step, decision, score in zip(pruned.steps, pruned.decisions, of_step, strict=True):
        is_back = decision.step in given_back
        action = Action.KEEP if is_back else Action(decision.action)
        text = Text(clean(step.text(pruned.thinking).strip("\n")), "" if action == Action.KEEP else "strike dim")
        if decision.text and not is_back:
            text = Text.assemble(text, "\n", (clean(decision.text.strip("\n")), "bold"))
        table.add_row(
            "+" if is_back else MARKS[action], str(decision.step + 1), step.role,
            number_of(score.first_token_surprisal_nats if score else math.nan), number_of(score.mean_surprisal_nats if score else math.nan),
            number_of(decision.score), text, Text(clean(_why(decision, is_back))),
        )  # fmt: skip
    problem = pruned.problem
    about = [
        problem.question.strip(),
        *([f"reference: {problem.answer}"] if problem.answer else []),
        *_facts(pruned, rechecked),
    ]
    made_by = f"  {pruned.method} {pruned.method_version}, {pruned.model}\n"
    head = Text.assemble((clean(pruned.id), "bold"), clean(made_by), clean("\n".join(about)), "\n")
    return Group(head, table, Text(clean(pruned.response.strip())))


def ids(folder: StageFolder, incomplete: str) -> list[str]:
    """Some ids that begin so, to complete one on the command line."""
    try:
        known = (found for (found,) in folder.columns("id") if found.startswith(incomplete))
        return [found for _, found in zip(range(MAX_IDS), known, strict=False)]
    except InputError:
        return []


def clean(text: str) -> str:
    """The text without characters that move the cursor, colour what follows, or turn the direction of writing."""
    return _CONTROL.sub("�", text)


def number_of(value: float) -> str:
    """Two digits after the point; nothing for what is not known."""
    return "" if math.isnan(value) else f"{value:.2f}"


def _why(decision: Decision, is_back: bool) -> str:
    return f"given back; {decision.reason}" if is_back else decision.reason


def _facts(pruned: PrunedTrace, rechecked: RecheckedTrace | None) -> list[str]:
    """What the re-check found, in lines."""
    lines = [f"budget not met: {pruned.shortfall}"] if pruned.shortfall else []
    if rechecked is None:
        return [*lines, "not re-checked yet, or not since it was pruned"]
    lines.append(f"re-check: {rechecked.status}" + (f", as {rechecked.reason}" if rechecked.reason else ""))
    lines.append(
        f"tokens: {rechecked.num_tokens_before}, pruned {rechecked.num_tokens_pruned}, in the end {rechecked.num_tokens_after}"
    )
    values = (
        rechecked.support_before_nats_per_token, rechecked.support_pruned_nats_per_token,
        rechecked.support_after_nats_per_token, rechecked.answer_loglik_without_nats_per_token,
    )  # fmt: skip
    if not any(map(math.isnan, values[:2])):
        before, proposed, after, without = (number_of(value) or "?" for value in values)
        lines.append(
            f"support of the answer, nats/token: {before}, pruned {proposed}, in the end {after}; without thinking {without}"
        )
    return lines


def _chosen(params: Params, paths: Paths, trace_id: str) -> str:
    kept = StageFolder(paths.stage("kept"))
    if kept.manifest() and (row := find_row(KeptTrace, kept.part_paths(), trace_id)):
        return row.method
    return next((name for name in params.prune.methods if name != "keep_all"), params.prune.methods[0])


def _beside(record: type[Row], pruned: dict[str, StageFolder], folder: str, trace_id: str) -> Row | None:
    """The trace in another folder, if that is done and belongs to the same run as what was pruned."""
    other = StageFolder(folder)
    if other.manifest() is None:
        return None
    try:
        lineage({**pruned, folder: other})
    except InputError:
        return None
    return find_row(record, other.part_paths(), trace_id)
