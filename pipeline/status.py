"""`python -m pipeline status`: what is done, unfinished and dropped, and what it took."""

from __future__ import annotations

import json
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.config import Params
from pipeline.paths import FOLDERS, MATRIX, Paths
from pipeline.report import METRICS, summary
from transforms import storage
from transforms.folders import StageFolder


def show(params: Params, paths: Paths) -> None:
    """Prints a table of all stages."""
    table = Table("stage", "state", "rows", "dropped", "time", "model", box=SIMPLE_HEAD)
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    table.columns[3].overflow = "fold"
    for row in rows(params, paths):
        table.add_row(*row)
    Console().print(table)
    metrics = storage.join(paths.stage("report"), METRICS)
    if storage.exists(metrics):
        print(summary(json.loads(storage.read_bytes(metrics)), paths))


def rows(params: Params, paths: Paths) -> list[tuple[str, str, str, str, str, str]]:
    """(stage, state, rows, dropped, time, model) for each folder of each stage."""
    found = []
    for stage, folder, method in _folders(params):
        log = _log(paths.log(stage, method))
        took = (f"{log['seconds']:.0f} s" if log else "", _model(log.get("engine") or {}))
        if stage == "report":
            found.append(
                (
                    "report",
                    "done" if storage.exists(storage.join(paths.stage(folder), METRICS)) else "not run",
                    "",
                    "",
                    *took,
                )
            )
            continue
        found.append((f"{stage} {method}".strip(), *_state(StageFolder(paths.stage(folder)), paths), *took))
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


def _state(folder: StageFolder, paths: Paths) -> tuple[str, str, str]:
    manifest = folder.manifest()
    if manifest is None:
        parts = len(folder.receipts())
        return (f"unfinished, {parts} parts" if parts else "not run", "", "")
    counts = manifest["rows"]
    dropped = ", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items())
    for name, content in manifest["inputs"].items():
        source = StageFolder(paths.stage(name))
        if name != "sources" and (source.manifest() is None or source.content() != content):
            return f"stale: {name} changed", f"{counts['read']} → {counts['kept']}", dropped
    return "done", f"{counts['read']} → {counts['kept']}", dropped


def _log(path: str) -> dict[str, Any]:
    return json.loads(storage.read_bytes(path)) if storage.exists(path) else {}


def _model(engine: dict[str, int]) -> str:
    if not engine:
        return ""
    asked, hits = engine.get("asked", 0), engine.get("cache_hits", 0)
    return f"{asked} asked, {hits} cached" + (f", {engine['failures']} failed" if engine.get("failures") else "")
