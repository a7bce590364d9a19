"""`python -m pipeline STAGE`: one command a stage, and `status`.

Exit codes: 0 done, 1 failed with a message that says what to do, 2 wrong usage or configuration.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated, Any

import typer

from pipeline.graph import STAGES, Stage
from transforms.core.errors import ConfigError, UserError

INTERRUPTED = 130  # what typer makes of Ctrl-C
app = typer.Typer(
    help="Distil concise reasoning: generate traces, prune them, check them, emit training shards.\n\n`dvc repro` runs all stages in order; each is also a command of its own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

ParamsFile = Annotated[str, typer.Option("--params", help="The parameter file.", metavar="FILE")]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one parameter: group.key=value. May be repeated.", metavar="KEY=VALUE"),
]
Data = Annotated[str, typer.Option("--data", help="The data folder, or a URI such as gs://bucket/run.", metavar="DIR")]
Force = Annotated[bool, typer.Option("--force", help="Run again even if the output is complete.")]


def _complete_method(incomplete: str) -> list[str]:
    from transforms.pruning import METHODS

    return [name for name in METHODS if name.startswith(incomplete)]


Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="Only this method; all of prune.methods without it. May be repeated.",
        metavar="METHOD",
        autocompletion=_complete_method,
    ),
]


def _check_method(method: str) -> None:
    """Raises ConfigError if there is no such method."""
    from transforms.pruning import METHODS

    if method not in METHODS:
        raise ConfigError(f"--method {method!r}: no such method; allowed: {', '.join(METHODS)}")


def _run(
    stage: str,
    flags: list[str],
    params: str,
    override: list[str] | None,
    data: str,
    force: bool,
    methods: list[str] | None = None,
) -> None:
    from pipeline.params import load
    from pipeline.paths import Paths
    from pipeline.rounds import of_round
    from pipeline.run import run_stage
    from pipeline.stages.base import Context
    from transforms.storage import files as storage

    loaded = load(params, override)
    if not data:
        raise ConfigError("--data '': must name a folder")
    storage.check(data)
    for method in methods or []:
        _check_method(method)
    paths = Paths(data, loaded.base.round)
    context = Context(of_round(loaded, paths), paths, flags, force)
    for method in methods or [""]:
        run_stage(stage, context, method)


def _add_stage(stage: Stage) -> None:
    name = stage.name
    text = f"{stage.help[:-1]} → {stage.folder}/{stage.per and stage.per.upper() + '/'}."
    settings: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}
    usage = "All other options go to Beam, for example `--project` or `--region` for Dataflow."

    if stage.per == "method":

        def with_method(
            context: typer.Context,
            method: Methods = None,
            params: ParamsFile = "params.yaml",
            override: Override = None,
            data: Data = "data",
            force: Force = False,
        ) -> None:
            _run(name, context.args, params, override, data, force, method)

        app.command(name, help=text, epilog=usage, context_settings=settings)(with_method)
        return

    def plain(
        context: typer.Context,
        params: ParamsFile = "params.yaml",
        override: Override = None,
        data: Data = "data",
        force: Force = False,
    ) -> None:
        _run(name, context.args, params, override, data, force)

    app.command(name, help=text, epilog=usage, context_settings=settings)(plain)


for one in STAGES:
    _add_stage(one)


@app.command(help="Check the parameter file, as `make repro` does before it starts.")
def check(params: ParamsFile = "params.yaml", override: Override = None) -> None:
    """Exit code 2 and one line if something is wrong or missing."""
    from pipeline.checks import check_complete

    found = check_complete(params, override)
    print(f"{params}: complete and right; prune.methods: {', '.join(found.prune.methods)}")


@app.command(help="Write dvc.yaml, which follows from the stages in pipeline/graph.py.")
def graph() -> None:
    """In the working folder."""
    from pipeline.dvc import text

    with open("dvc.yaml", "w", encoding="utf-8") as file:
        file.write(text())


@app.command(help="Show what is done, unfinished and dropped, and what it took.")
def status(params: ParamsFile = "params.yaml", override: Override = None, data: Data = "data") -> None:
    """A table of all stages."""
    from pipeline.commands.status import show
    from pipeline.params import load
    from pipeline.paths import Paths

    loaded = load(params, override)
    show(loaded, Paths(data, loaded.base.round))


def _complete_id(context: typer.Context, incomplete: str) -> list[str]:
    from pipeline.commands.show import ids
    from pipeline.paths import Paths

    return ids(Paths(context.params.get("data") or "data").folder("steps"), incomplete)


@app.command(help="Print a trace with its removed steps struck out, and the scores beside them.")
def show(
    trace: Annotated[
        str,
        typer.Argument(
            help="The trace's id, as p-000012/0; of an imported one also its id in your file.",
            metavar="ID",
            autocompletion=_complete_id,
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="As this method pruned it; else as the one that filter chose, or the first of prune.methods that deletes.",
            autocompletion=_complete_method,
        ),
    ] = "",
    params: ParamsFile = "params.yaml",
    override: Override = None,
    data: Data = "data",
) -> None:
    """−: deleted, ≈: rewritten, +: given back by the re-check."""
    from pipeline.commands.show import show as print_trace
    from pipeline.params import load
    from pipeline.paths import Paths

    loaded = load(params, override)
    if method:
        _check_method(method)
    print_trace(loaded, Paths(data, loaded.base.round), trace, method)


def _complete_stage(incomplete: str) -> list[str]:
    from pipeline.commands.export import RECORDS

    return [name for name in RECORDS if name.startswith(incomplete)]


@app.command(help="Write what a stage found out with all that it belongs to, texts included, for other tools.")
def export(
    stage: Annotated[
        str, typer.Argument(help="The stage, such as recheck.", metavar="STAGE", autocompletion=_complete_stage)
    ],
    target: Annotated[
        str,
        typer.Argument(
            help="A new file: .parquet, .jsonl, .jsonl.gz or .jsonl.zst; or - for the terminal.", metavar="FILE"
        ),
    ],
    methods: Methods = None,
    params: ParamsFile = "params.yaml",
    override: Override = None,
    data: Data = "data",
) -> None:
    """A row a trace, or a version of one."""
    from pipeline.commands.export import export as write
    from pipeline.params import load
    from pipeline.paths import Paths

    loaded = load(params, override)
    for method in methods or []:
        _check_method(method)
    write(loaded, Paths(data, loaded.base.round), stage, methods or [], target)


answers = typer.Typer(help="Look after the answers of models in data/cache.", no_args_is_help=True)
app.add_typer(answers, name="cache")
OfModel = Annotated[str, typer.Option("--model", help="Only this model's, as params name it.", metavar="NAME")]


def _cache(data: str) -> Any:
    from pipeline.paths import Paths
    from transforms.storage import files as storage

    storage.check(data)
    return Paths(data)


@answers.command("stats", help="Count answers, tokens, cut and empty ones, and failures, by model.")
def cache_stats(data: Data = "data") -> None:
    """A table."""
    from pipeline.commands import cache

    cache.show(_cache(data))


@answers.command(
    "verify", help="Check each entry's checksum, and that it belongs to its request. Exit code 1 if one does not."
)
def cache_verify(data: Data = "data") -> int:
    """A line for each damaged entry."""
    from pipeline.commands import cache

    return 1 if cache.verify(_cache(data)) else 0


def _complete_kind(incomplete: str) -> list[str]:
    from pipeline.commands.cache import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


@answers.command("prune", help="Delete entries that meet all conditions. Without --yes they are only counted.")
def cache_prune(
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="damaged, failed, cut or empty. May be repeated.",
            autocompletion=_complete_kind,
            metavar="KIND",
        ),
    ] = None,
    model: OfModel = "",
    older_than_days: Annotated[float | None, typer.Option(help="Only what was written longer ago.", min=0)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them.")] = False,
    data: Data = "data",
) -> None:
    """What is deleted is asked again when it is wanted."""
    from pipeline.commands import cache

    if not (kind or model or older_than_days is not None):
        raise ConfigError("cache prune: say what to delete: --kind, --model or --older-than-days")
    for name in kind or []:
        if name not in cache.KINDS:
            raise ConfigError(f"--kind {name!r}: no such kind; allowed: {', '.join(cache.KINDS)}")
    cache.prune(_cache(data), model, kind or [], older_than_days, yes)


@answers.command("export", help="Write all answers as JSON lines: model, request, response.")
def cache_export(
    target: Annotated[
        str, typer.Argument(help="A new file (.jsonl, .jsonl.gz or .jsonl.zst), or - for the terminal.", metavar="FILE")
    ],
    model: OfModel = "",
    data: Data = "data",
) -> None:
    """One line an answer."""
    from pipeline.commands import cache

    cache.export(_cache(data), target, model)


def main() -> int:
    """Runs the command line; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # which event loops know, too
    try:
        code = int(app(prog_name="concise-cot", standalone_mode=False) or 0)
        if code == INTERRUPTED:
            print("stopped; run the command again to go on", file=sys.stderr)
        return code
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of typer's command line
            if message := error.format_message():  # empty where the help was shown instead
                print(f"error: {message}", file=sys.stderr)
            return int(error.exit_code)
        raise


if __name__ == "__main__":
    sys.exit(main())
