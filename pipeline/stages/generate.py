"""traces/ from problems/ and the teacher, or from files of traces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.checks import check_sandbox
from pipeline.freshness import depends_on
from pipeline.rounds import check_teacher
from pipeline.stages.base import Context, Plan, first, over
from transforms import generate, import_traces, ingest, sources
from transforms.core.errors import InputError
from transforms.core.records import Problem, Trace
from transforms.judging import judge_responses
from transforms.shards.mapping import Job
from transforms.storage.folders import lineage


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One.

    Raises:
        InputError: the round before has no trained model, or ingest read other files of traces.
        SandboxError: answers will be code, and there is no sandbox.
    """
    check_teacher(context.params, context.paths)
    check_sandbox(context.params)
    config = context.params.generate
    if config.imports:
        yield _imported(context)
        return
    job = Job(
        "generate",
        Trace,
        partial(first, Problem),
        dialogue=partial(generate.dialogue, config=config, model=context.params.models[config.model].model),
        work=partial(judge_responses, config=context.params.verify),
        num_outcomes=partial(generate.num_samples, config=config),
    )
    yield over(
        context,
        "generate",
        job,
        ["problems"],
        ask=config.model,
        requests_per_row=config.samples_per_problem,
        further="requests with more room or for unsolved problems",
    )


def _imported(context: Context) -> Plan:
    base, max_chars = context.params.base, context.params.ingest.max_question_chars
    problems = context.paths.folder("problems")
    made_from = lineage({"problems": problems})
    planned = [
        sources.plan(source, base.seed, base.shard_rows, "generate.import")
        for source in context.params.generate.imports
    ]
    read_by_ingest = problems.finished_manifest()["inputs"]["sources"]
    for _, identity in planned:
        if identity not in read_by_ingest:
            raise InputError(
                f"generate.import: {identity['name']} is not what ingest read: run `python -m pipeline ingest` again, or `dvc repro`"
            )
    return Plan(
        stage="generate",
        folder=context.paths.stage("traces"),
        job=Job(
            "generate",
            Trace,
            partial(import_traces.read_rows, max_question_chars=max_chars),
            partial(import_traces.traces, config=context.params.generate),
            num_outcomes=import_traces.num_traces,
        ),
        shards=ingest.pack([piece for pieces, _ in planned for piece in pieces], base.shard_rows),
        about={
            **depends_on("generate", context.params),
            "inputs": {**made_from, "sources": [identity for _, identity in planned]},
        },
        prepare=import_traces.MatchProblems(problems.part_paths(), max_chars),
    )
