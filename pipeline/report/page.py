"""Sums up a run: metrics.json, tokens.csv, index.html and a manifest in report/, and the closing lines of `dvc repro`.

    metrics.json  {"examples": {"train": 29, "validation": 4}, "thinking_tokens": {"before": 241.0, …}, …}
    tokens.csv    id,method,family,status,tokens_before,tokens_after — a row for each correct trace and method

Everything comes from the stages' folders and nothing from clocks, so the same data gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.freshness import depends_on, refuse_stale
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.report.breakdown import correct_traces
from pipeline.report.metrics import measure, tokens_csv
from pipeline.report.samples import Sample, samples
from pipeline.report.summary import PAGE, summary
from pipeline.stages.base import versions_of
from transforms.core.records import Verdict
from transforms.storage import files as storage
from transforms.storage.folders import FORMAT, MANIFEST, lineage
from transforms.storage.parts import read_rows

METRICS, TOKENS = "metrics.json", "tokens.csv"


def write(params: Params, paths: Paths) -> dict[str, Any]:
    """Writes the files, prints the summary, returns the metrics.

    Raises:
        InputError: a stage has not finished, two of them belong to different runs, or one was made from what is no longer there.
    """
    methods = params.prune.methods
    names = ["problems", "traces", "verdicts", "steps", *["annotations"] * bool(params.prune.opinions)]
    names += [*versions_of(methods), "kept", *(f"shards/{name}" for name in params.emit.formats)]
    given = {name: paths.folder(name) for name in names}
    inputs = lineage(given)
    refuse_stale(given, inputs, paths)
    verdicts = list(read_rows(Verdict, paths.folder("verdicts").part_paths()))
    metrics = measure(params, paths, verdicts)
    manifest = {**depends_on("report", params), "format": FORMAT, "inputs": inputs}
    files = {
        METRICS: _as_json(metrics),
        TOKENS: tokens_csv(params, paths, correct_traces(verdicts)),
        PAGE: page(metrics, samples(paths, methods, params.report.samples)),
        MANIFEST: _as_json(manifest),  # the last, as it says that the others are there
    }
    for name, text in files.items():
        storage.write_bytes(storage.join(paths.stage("report"), name), text.encode())
    print(summary(metrics, paths), file=sys.stderr)
    return metrics


def page(metrics: dict[str, Any], shown: Sequence[Sample]) -> str:
    """The report as one HTML file without scripts; model text is escaped."""
    environment = Environment(
        loader=PackageLoader("pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(metrics=metrics, samples=shown)


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
