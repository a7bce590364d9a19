"""`python -m pipeline status`: what is done, unfinished and dropped, and what it took."""

from __future__ import annotations

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.freshness import depends_on, stale
from pipeline.graph import STAGES, Stage
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.report.page import METRICS
from pipeline.report.summary import summary
from transforms.storage import files as storage
from transforms.storage.folders import MANIFEST, StageFolder, is_of_this_version


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
        record = _log(paths.log(stage.name, method))
        took = "\n".join([f"{record['seconds']:.0f} s", *_asked(record.get("engine") or {})]) if record else ""
        about = depends_on(stage.name, params, method)
        if stage.name == "report":
            state = (_report_state(params, paths), "", "")
        else:
            state = _state(paths.folder(folder), paths, about, stage.tally)
        found.append((f"{stage.name} {method}".strip(), *state, took))
    return found


def _folders(params: Params) -> list[tuple[Stage, str, str]]:
    """(stage, folder, method), but for the models."""
    several = {"method": params.prune.methods, "format": params.emit.formats, "": ("",)}
    return [
        (stage, f"{stage.folder}/{one}".rstrip("/"), one if stage.per == "method" else "")
        for stage in STAGES
        if stage.name != "models"
        for one in several[stage.per]
    ]


def _state(folder: StageFolder, paths: Paths, about: dict[str, Any], tally: str) -> tuple[str, str, str]:
    """(state, rows, dropped) of a stage's folder; with the counts of the column `tally`, unless it is ""."""
    manifest = folder.manifest()
    if manifest is None:
        parts = len(folder.receipts())
        return (f"unfinished, {parts} parts" if folder.is_begun() else "not run", "", "")
    counts = manifest["rows"]
    values = folder.counts(tally) if tally and is_of_this_version(manifest) else {}
    rows = [f"{counts['read']} → {counts['kept']}", *_lines(values)]
    return _fresh(manifest, about, paths), "\n".join(rows), "\n".join(_lines(counts["dropped"]))


def _fresh(manifest: dict[str, Any], about: dict[str, Any], paths: Paths) -> str:
    changed = stale(manifest, about, paths)
    return f"stale: {changed}" if changed else "done"


def _lines(counts: dict[str, int]) -> list[str]:
    return [f"{count} {value}" for value, count in counts.items()]


def _report_state(params: Params, paths: Paths) -> str:
    name = storage.join(paths.stage("report"), MANIFEST)
    if not storage.exists(name):
        return "not run"
    return _fresh(json.loads(storage.read_bytes(name)), depends_on("report", params), paths)


def _log(path: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(path)) if storage.exists(path) else {}


def _asked(engine: dict[str, int]) -> list[str]:
    """What was asked of the model, answered by the cache, and failed."""
    counts = {"asked": engine.get("asked"), "cached": engine.get("cache_hits"), "failed": engine.get("failures")}
    return [f"{count} {name}" for name, count in counts.items() if count]
