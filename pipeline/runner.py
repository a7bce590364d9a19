"""Runs a Beam pipeline on the configured runner, and turns a worker's user error back into one.

The direct runner is Beam's FnApiRunner, named outright: Beam's default would try to download another.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import shutil
from collections.abc import Callable
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import PipelineRunner, create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.core.errors import ConfigError, unmark

# What this pipeline sets itself.
OURS = {
    "--runner": "runner.name",
    "--direct_num_workers": "runner.workers",
    "--direct_running_mode": "runner.workers",
    "--direct_runner_use_stacked_bundle": "nothing: it is not for users",
}


class _Parser(argparse.ArgumentParser):
    """Beam's own options, with errors that are ours."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Beam's options: {' '.join(message.split())}")


def check_flags(flags: list[str]) -> None:
    """Raises ConfigError for what no part of Beam knows (Beam itself would ignore it), and for wrong values."""
    parser = _Parser(add_help=False, conflict_handler="resolve", allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    known = [name for action in parser._actions for name in action.option_strings]
    _, unknown = parser.parse_known_args(flags)
    for flag in [*unknown, *(flag for flag in flags if flag.partition("=")[0] in OURS)]:
        name = flag.partition("=")[0]
        if not name.startswith("--"):
            raise ConfigError(f"{flag!r}: not expected here; parameters are set with --set group.key=value")
        if name in OURS:
            raise ConfigError(f"{name}: set {OURS[name]} instead")
        near = difflib.get_close_matches(name, [*known, "--set", "--params", "--data", "--method", "--force"], n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{name}: neither an option of this command nor a Beam flag{guess}")


def as_flags(options: dict[str, Any]) -> list[str]:
    """`runner.options` as command-line flags: true is the bare flag, a list repeats it, null and false leave it out."""
    flags = []
    for key, value in options.items():
        for item in value if isinstance(value, list) else [value]:
            if item is True:
                flags.append(f"--{key}")
            elif item is not None and item is not False:
                flags.append(f"--{key}={item}")
    return flags


def new_pipeline(name: str, workers: int, options: dict[str, Any], flags: list[str]) -> beam.Pipeline:
    """An empty pipeline for the runner. Also the check that the runner and all options are what Beam takes.

    Raises:
        ConfigError: they are not.
    """
    flags = as_flags(options) + flags
    check_flags(flags)
    if name == "direct":
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # failures are raised, not also logged
        runner: Any = FnApiRunner()
        mode = "multi_processing" if workers > 1 else "in_memory"
        flags = [*flags, f"--direct_num_workers={workers}", f"--direct_running_mode={mode}"]
    else:
        runner = _create_runner(name)
    try:
        return beam.Pipeline(runner=runner, options=PipelineOptions(flags))
    except ValueError as error:
        raise ConfigError(f"runner.options: {' '.join(str(error).split())}") from error


def discard(pipeline: beam.Pipeline) -> None:
    """Removes the temporary folder of a pipeline that will not be run; Beam does it only after a run."""
    shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)


def run(pipeline: beam.Pipeline, build: Callable[[beam.Pipeline], Any]) -> dict[str, int]:
    """Builds and runs a pipeline; returns its counters by name.

    Raises:
        UserError: what a worker raised.
    """
    try:
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:  # the runner's own exception types differ; ours are marked inside their text
        if str(error).startswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from None
        found = unmark(f"{error}")
        if found is None:
            raise
        raise found from None
    counters = result.metrics().query()["counters"]
    return {counter.key.metric.name: counter.result for counter in counters if counter.key.metric.namespace == "engine"}


def _create_runner(name: str) -> Any:
    try:
        runner = create_runner(name)
        if not isinstance(runner, PipelineRunner):
            raise ValueError(f"it is a {type(runner).__name__}")
        return runner
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"runner.name = {name!r}: Beam has no such runner here ({' '.join(str(error).split())})"
        ) from error
