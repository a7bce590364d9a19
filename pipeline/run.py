"""Runs stages: goes on where one was stopped, asks for no work that is done, and says what came out.

`run_stage("segment", context)` → the manifest of `data/steps`, once it is there.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import apache_beam as beam

from pipeline import runner
from pipeline.freshness import stale
from pipeline.graph import NAMED
from pipeline.log import log, say
from pipeline.stages.base import Context, Plan
from transforms.core.drops import DropReason
from transforms.core.errors import InputError
from transforms.inference import weights
from transforms.inference.cache import Cache
from transforms.inference.models import amount, cost, has_weights
from transforms.shards.mapping import MapShards, Shard
from transforms.storage.folders import StageFolder

if TYPE_CHECKING:
    from transforms.shards.asking import EngineHandler


def run_stage(stage: str, context: Context, method: str = "") -> list[dict[str, Any]]:
    """Runs a stage, for one method or all of them; returns the manifests.

    Raises:
        UserError: a message that says what to do.
    """
    runner.discard(context.new_pipeline())  # a runner that cannot be had must not cost an output
    declared = NAMED[stage]
    if not declared.maps:
        return [declared.run(context)]
    known = list(context.params.prune.methods)
    if method and method not in known:
        raise InputError(f"--method {method}: prune.methods has only {', '.join(known)}")
    methods = ([method] if method else known) if declared.per == "method" else [""]
    return [_run(plan, context) for name in methods for plan in declared.plans(context, name)]


def _run(plan: Plan, context: Context) -> dict[str, Any]:
    """Runs a plan, or finds that it is done already."""
    started = time.monotonic()
    folder, label = StageFolder(plan.folder), plan.label
    engine = _engine(plan, context)
    about = plan.about | ({"model": engine.identity} if engine else {})
    manifest = folder.manifest()
    failed = manifest["rows"]["dropped"].get(DropReason.REQUEST_FAILED, 0) if manifest and engine else 0
    if failed:
        say(f"{label}: {failed} requests failed in the last run; asking them again")
        folder.clear()
        manifest = None
    if manifest and not context.force:
        changed = stale(manifest, about, context.paths, about["inputs"])
        if not changed and not folder.damage():
            folder.tidy()
            say(f"{label}: nothing to do, {plan.folder} is complete ({manifest['rows']['kept']} rows)")
            return _usable(manifest, plan)
        say(f"{label}: running again, as {changed or 'the output is damaged'}")
    if context.force:
        folder.clear()
    finished = folder.begin(about)
    if finished:
        say(f"{label}: going on, {len(finished)} of {len(plan.shards)} parts are there")
    missing = [shard for shard in plan.shards if shard.number not in finished]
    counters: dict[str, int] = {}
    if missing:
        # A stage that looks at all rows to decide about one needs all shards, and then writes the missing ones.
        shards = plan.shards if plan.prepare else missing
        build = partial(_build, shards=shards, plan=plan, finished=frozenset(finished), engine=engine)
        counters = runner.run(context.new_pipeline(), build)
    manifest = folder.finish(about, len(plan.shards))
    spent = _cost(plan, context, counters)
    seconds = log(
        context.paths,
        plan.stage,
        plan.method,
        started,
        {"rows": manifest["rows"], "engine": counters, **({"cost": spent} if spent else {})},
    )
    paid = f", cost {amount(spent)}" if spent else ""
    again = f", {counters['requests_again']} {plan.further}" if counters.get("requests_again") else ""
    tally = NAMED[plan.stage].tally
    say(
        f"{label}: {_summed(manifest['rows'], folder.counts(tally) if tally else {}, plan)} ({seconds:.1f} s{again}{paid})"
    )
    for remark in plan.remarks(folder) if plan.remarks else ():
        say(f"{label}: {remark}")
    return _usable(manifest, plan)


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
    """The manifest. Raises InputError where no row was kept and nothing can follow then."""
    if plan.empty and not manifest["rows"]["kept"]:
        raise InputError(plan.empty)
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
    from transforms.shards.asking import Asker, EngineHandler

    model = context.params.models[plan.ask]
    folder = weights.resolve(model.model, context.paths.models) if has_weights(model) else ""
    cache = Cache(context.paths.cache, weights.identity(model, folder, scores=plan.stage != "generate"))
    asker = Asker(model, folder, cache, plan.label, plan.rows, plan.requests_per_row)
    return EngineHandler(plan.job, plan.folder, asker)


def _cost(plan: Plan, context: Context, counters: dict[str, int]) -> float:
    """What this run asked of the model cost, by the price in params; 0 where there is none."""
    if not plan.ask:
        return 0.0
    model = context.params.models[plan.ask]
    return round(cost(model, counters.get("prompt_tokens", 0), counters.get("tokens", 0)), 6)
