"""`python -m pipeline status`: what is done, unfinished and dropped, and what it took."""

from __future__ import annotations

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.freshness import freshness
from pipeline.params import Params, section
from pipeline.paths import FOLDERS, MATRIX, TALLIED, Paths
from pipeline.report.page import METRICS, summary
from transforms.storage import files as storage
from transforms.storage.folders import MANIFEST, StageFolder


def show(params: Params, paths: Paths) -> None:
    """Prints a table of all stages."""
    console = Console()
    is_narrow = console.width < 60
    heads = ["stage", "state", "rows"] + ["took"] * (not is_narrow)
    table = Table(*heads, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column, name in zip(table.columns, heads, strict=True):  # the state wraps at its words
        column.overflow = "fold"
        column.no_wrap = not is_narrow and (name in ("stage", "took") or (name == "rows" and console.width >= 72))
    table.columns[1].min_width = len("unfinished,")
    for stage, state, counts, dropped, took in rows(params, paths):
        counts = "\n".join([counts, *(f"− {line}" for line in dropped.splitlines())])
        table.add_row(*[stage, state, counts, took][: len(heads)])
    console.print(table)
    metrics = storage.join(paths.stage("report"), METRICS)
    if storage.exists(metrics):
        state = _report_state(params, paths)
        if state != "done":
            print(f"  The report is of an earlier run ({state}):")
        print(summary(json.loads(storage.read_bytes(metrics)), paths))


def rows(params: Params, paths: Paths) -> list[tuple[str, str, str, str, str]]:
    """(stage, state, rows, dropped, took) for each folder of each stage."""
    found = []
    for stage, folder, method in _folders(params):
        log = _log(paths.log(stage, method))
        took = "\n".join([f"{log['seconds']:.0f} s", *_asked(log.get("engine") or {})]) if log else ""
        if stage == "report":
            state = (_report_state(params, paths), "", "")
        else:
            state = _state(paths.folder(folder), paths, section(params, stage, method), TALLIED.get(stage, ""))
        found.append((f"{stage} {method}".strip(), *state, took))
    return found


def _folders(params: Params) -> list[tuple[str, str, str]]:
    found = []
    for stage, folder in FOLDERS.items():
        if stage in MATRIX:
            found += [(stage, f"{folder}/{method}", method) for method in params.prune.methods]
        elif stage == "emit":
            found += [(stage, f"{folder}/{name}", "") for name in params.emit.formats]
        else:
            found.append((stage, folder, ""))
    return found


def _state(folder: StageFolder, paths: Paths, config: dict[str, Any], tallied: str) -> tuple[str, str, str]:
    """(state, rows, dropped) of a stage's folder; with the counts of the column `tallied`, unless it is ""."""
    manifest = folder.manifest()
    if manifest is None:
        parts = len(folder.receipts())
        return (f"unfinished, {parts} parts" if folder.is_begun() else "not run", "", "")
    counts = manifest["rows"]
    values = folder.counts(tallied) if tallied else {}
    rows = [f"{counts['read']} → {counts['kept']}", *_lines(values)]
    return freshness(manifest, paths, config), "\n".join(rows), "\n".join(_lines(counts["dropped"]))


def _lines(counts: dict[str, int]) -> list[str]:
    return [f"{count} {value}" for value, count in counts.items()]


def _report_state(params: Params, paths: Paths) -> str:
    name = storage.join(paths.stage("report"), MANIFEST)
    if not storage.exists(name):
        return "not run"
    return freshness(json.loads(storage.read_bytes(name)), paths, section(params, "report"))


def _log(path: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(path)) if storage.exists(path) else {}


def _asked(engine: dict[str, int]) -> list[str]:
    """What was asked of the model, answered by the cache, and failed."""
    counts = {"asked": engine.get("asked"), "cached": engine.get("cache_hits"), "failed": engine.get("failures")}
    return [f"{count} {name}" for name, count in counts.items() if count]
