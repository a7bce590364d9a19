"""Wires each stage: which folders it reads, and what it does with a shard. What it does there is in `transforms/`.

`PLANS["segment"](context, "")` → the one plan that makes `data/steps` of `data/traces`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import apache_beam as beam

from pipeline import runner
from pipeline.freshness import refuse_stale
from pipeline.params import Params, section
from pipeline.paths import FOLDERS, Paths
from transforms import annotate, emit, filter, generate, ingest, recheck, score, segment, sources
from transforms import import_traces as imports
from transforms import verify as judging
from transforms.core.errors import InputError
from transforms.core.records import (
    Annotations,
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
from transforms.inference.dialogue import conversation
from transforms.prune import dialogue, prune
from transforms.pruning import METHODS, needs
from transforms.pruning.given import PruneInput
from transforms.shards.mapping import Job, Shard, read_parts
from transforms.storage import parts
from transforms.storage.folders import lineage


@dataclass(frozen=True)
class Context:
    """What a command was given."""

    params: Params
    paths: Paths
    flags: list[str] = field(default_factory=list)
    force: bool = False

    def new_pipeline(self) -> beam.Pipeline:
        """An empty pipeline on the configured runner. Raises ConfigError."""
        settings = self.params.runner
        return runner.new_pipeline(settings.name, settings.workers, settings.options, self.flags)


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

    @property
    def label(self) -> str:
        """The stage, and the method where there are several."""
        return f"{self.stage} {self.method}".strip()


# One function a stage: Context, method → the plans to run.


def plan_ingest(context: Context, method: str) -> Iterator[Plan]:
    """problems/ from the sources."""
    base, config = context.params.base, context.params.ingest
    planned = [sources.plan(source, base.seed, base.shard_rows) for source in config.sources]
    planned += _imports(context)
    benchmarks = [sources.plan(one, base.seed, base.shard_rows, "ingest.benchmarks")[1] for one in config.benchmarks]
    slices = [piece for pieces, _ in planned for piece in pieces]
    yield Plan(
        stage="ingest",
        folder=context.paths.stage("problems"),
        job=Job("ingest", Problem, partial(ingest.read_problems, config=config), lambda problem: [problem]),
        shards=ingest.pack(slices, base.shard_rows),
        inputs={"sources": [*(identity for _, identity in planned), *({"benchmark": one} for one in benchmarks)]},
        config=section(context.params, "ingest"),
        prepare=ingest.MarkRepeats(config),
    )


def plan_generate(context: Context, method: str) -> Iterator[Plan]:
    """traces/ from problems/ and the teacher, or from files of traces."""
    config = context.params.generate
    if config.imports:
        yield _plan_import(context)
        return
    job = Job(
        "generate",
        Trace,
        partial(_first, Problem),
        partial(generate.traces, config=config, model=context.params.models[config.model].model),
        ask=partial(generate.requests, config=config),
        again=partial(generate.ask_again, config=config, judging=context.params.verify),
        num_outcomes=generate.num_samples,
    )
    yield _plan(context, "generate", job, ["problems"], ask=config.model, requests_per_row=config.samples_per_problem)


def _plan_import(context: Context) -> Plan:
    problems = context.paths.folder("problems")
    made_from = lineage({"problems": problems})
    planned = _imports(context)
    read_by_ingest = problems.finished_manifest()["inputs"]["sources"]
    for _, identity in planned:
        if identity not in read_by_ingest:
            raise InputError(
                f"generate.import: {identity['name']} is not what ingest read: run `python -m pipeline ingest` again, or `dvc repro`"
            )
    config = context.params.ingest
    return Plan(
        stage="generate",
        folder=context.paths.stage("traces"),
        job=Job(
            "generate",
            Trace,
            partial(imports.read_rows, config=config),
            partial(imports.traces, config=context.params.generate),
            num_outcomes=imports.num_traces,
        ),
        shards=ingest.pack([piece for pieces, _ in planned for piece in pieces], context.params.base.shard_rows),
        inputs={**made_from, "sources": [identity for _, identity in planned]},
        config=section(context.params, "generate"),
        prepare=imports.MatchProblems(problems.part_paths(), config),
    )


def _imports(context: Context) -> list[tuple[list[sources.Slice], dict[str, Any]]]:
    """The slices and identities of the files of traces."""
    base = context.params.base
    return [
        sources.plan(source, base.seed, base.shard_rows, "generate.import")
        for source in context.params.generate.imports
    ]


def plan_verify(context: Context, method: str) -> Iterator[Plan]:
    """verdicts/ from traces/."""
    config = context.params.verify
    job = Job("verify", Verdict, partial(judging.judged_traces, config=config), judging.verdict)
    prepare = judging.VoteOnAnswers(config) if config.reference == "vote" else None
    yield _plan(context, "verify", job, ["traces"], prepare=prepare)


def plan_segment(context: Context, method: str) -> Iterator[Plan]:
    """steps/ from traces/; with the unit confidence, and from the scorer."""
    config, read = context.params.segment, partial(_first, Trace)
    if config.unit == "confidence":
        map_trace = partial(segment.segment_at_doubt, config=config)
        job = Job("segment", SegmentedTrace, read, map_trace, ask=segment.requests)
        yield _plan(context, "segment", job, ["traces"], ask=context.params.score.model)
    else:
        job = Job("segment", SegmentedTrace, read, partial(segment.segment, config=config))
        yield _plan(context, "segment", job, ["traces"])


def plan_score(context: Context, method: str) -> Iterator[Plan]:
    """scores/ from steps/ and the scorer; where no method needs them, nothing is asked."""
    config, read = context.params.score, partial(_first, SegmentedTrace)
    model = context.params.models[config.model].model
    if "scores" not in context.params.prune.needs:
        yield _plan(context, "score", Job("score", TraceScores, read, partial(score.unscored, model=model)), ["steps"])
        return
    job = Job(
        "score",
        TraceScores,
        read,
        partial(score.score, config=config, model=model),
        ask=partial(score.requests, config=config),
    )
    yield _plan(context, "score", job, ["steps"], ask=config.model, requests_per_row=2)


def plan_annotate(context: Context, method: str) -> Iterator[Plan]:
    """annotations/ from steps/ and the teacher; where no method needs them, nothing is asked."""
    config, wanted, read = context.params.annotate, context.params.prune.opinions, partial(_first, SegmentedTrace)
    if not wanted:
        yield _plan(context, "annotate", Job("annotate", Annotations, read, annotate.not_asked), ["steps"])
        return
    talk = partial(annotate.dialogue, config=config, model=context.params.models[config.model].model, wanted=wanted)
    job = Job("annotate", Annotations, read, **conversation("annotate", talk))
    yield _plan(context, "annotate", job, ["steps"], ask=config.model)


def plan_prune(context: Context, method: str) -> Iterator[Plan]:
    """pruned/METHOD/ from steps/, and what the method needs of scores/, annotations/ and the scorer."""
    config = context.params.prune.option(method)
    wanted = needs(method, config)
    beside = {"scores": wanted & {"scores"}, "annotations": wanted & {"actions", "path", "rewrites"}}
    names = [name for name, asked in beside.items() if asked]
    for name in names:
        folder = context.paths.folder(name)
        if not beside[name] <= set(folder.finished_manifest()["config"]["wanted"]):
            raise InputError(
                f"{folder.path} was made for methods that do not need what {method} does: "
                f"run `{folder.made_by}` again, or `dvc repro`"
            )
    read = partial(_prune_inputs, names=names)
    if "scorer" in wanted:
        talk = conversation("prune", partial(dialogue, method=method, config=config))
        job = Job("prune", PrunedTrace, read, **talk)
        yield _plan(context, "prune", job, ["steps", *names], method, ask=context.params.score.model)
    else:
        job = Job("prune", PrunedTrace, read, partial(prune, method=method, config=config))
        yield _plan(context, "prune", job, ["steps", *names], method)


def plan_recheck(context: Context, method: str) -> Iterator[Plan]:
    """rechecked/METHOD/ from pruned/METHOD/ and the scorer."""
    config = context.params.recheck
    job = Job(
        "recheck",
        RecheckedTrace,
        partial(_first, PrunedTrace),
        **conversation("recheck", partial(recheck.dialogue, config=config, judging=context.params.verify)),
    )
    yield _plan(
        context, "recheck", job, [f"pruned/{method}"], method, ask=config.model, requests_per_row=recheck.NUM_REQUESTS
    )


def plan_filter(context: Context, method: str) -> Iterator[Plan]:
    """kept/ from rechecked/, verdicts/ and the drops of traces/."""
    methods = context.params.prune.methods
    job = Job("filter", KeptTrace, filter.read_versions, filter.keep)
    reads = [*(f"rechecked/{name}" for name in methods), "verdicts"]
    traces = context.paths.folder("traces")
    prepare = filter.ChooseVersions(context.params.filter, methods, context.params.base.seed, traces.drops_path())
    yield _plan(context, "filter", job, reads, beside=["traces"], prepare=prepare)


def plan_emit(context: Context, method: str) -> Iterator[Plan]:
    """shards/FORMAT/ from kept/, one plan a format."""
    config, base = context.params.emit, context.params.base
    for name in config.formats:
        job = Job(
            "emit",
            Example,
            partial(_first, KeptTrace),
            partial(emit.emit, format_name=name, round=base.round, instruction=config.instruction),
            splits=emit.SPLITS,
            split=partial(emit.split_of, validation_share=config.validation_share, seed=base.seed),
        )
        yield _plan(context, "emit", job, ["kept"], folder=f"shards/{name}")


PLANS: dict[str, Callable[[Context, str], Iterator[Plan]]] = {
    "ingest": plan_ingest,
    "generate": plan_generate,
    "verify": plan_verify,
    "segment": plan_segment,
    "score": plan_score,
    "annotate": plan_annotate,
    "prune": plan_prune,
    "recheck": plan_recheck,
    "filter": plan_filter,
    "emit": plan_emit,
}


def _plan(
    context: Context,
    stage: str,
    job: Job,
    reads: list[str],
    method: str = "",
    folder: str = "",
    beside: Iterable[str] = (),
    **more: Any,
) -> Plan:
    """A plan over folders whose parts have the same numbers; `beside` are others that the stage looks into."""
    given = {name: context.paths.folder(name) for name in reads}
    looked_into = {name: context.paths.folder(name) for name in beside}
    made_from = lineage(given | looked_into)  # before parts are paired: those of different runs may differ in number
    refuse_stale(given | looked_into, made_from, context.paths)
    paths = list(zip(*(one.part_paths() for one in given.values()), strict=True))
    return Plan(
        stage=stage,
        folder=context.paths.stage(folder or FOLDERS[stage], method),
        job=job,
        shards=[Shard(index, source) for index, source in enumerate(paths)],
        inputs=made_from,
        config=section(context.params, stage, method) | ({"method_version": METHODS[method].VERSION} if method else {}),
        method=method,
        rows=next(iter(given.values())).num_rows(),
        **more,
    )


def _first(record: type, shard: Shard) -> Iterator[Any]:
    return parts.read_part(record, shard.source[0])


_BESIDE = {"scores": TraceScores, "annotations": Annotations}


def _prune_inputs(shard: Shard, names: list[str]) -> Iterator[PruneInput]:
    for trace, *others in read_parts(SegmentedTrace, *(_BESIDE[name] for name in names), shard=shard):
        yield PruneInput(trace, **dict(zip(names, others, strict=True)))
