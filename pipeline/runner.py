"""Runs a Beam pipeline on the configured runner, and turns a worker's user error back into one.

The direct runner is Beam's FnApiRunner, named outright: Beam's default would try to download another.
"""

from __future__ import annotations

import argparse
import difflib
import logging
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.errors import ConfigError, unmark


def check_flags(flags: list[str]) -> None:
    """Raises ConfigError for a flag that no part of Beam knows (Beam itself would ignore it)."""
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve", allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    known = [name for action in parser._actions for name in action.option_strings]
    for flag in flags:
        name = flag.partition("=")[0]
        if name.startswith("--") and name not in known:
            near = difflib.get_close_matches(name, [*known, "--set", "--params", "--data", "--method", "--force"], n=1)
            raise ConfigError(
                f"{name}: neither an option of this command nor a Beam flag"
                + (f"; did you mean {near[0]}?" if near else "")
            )


def run(
    build: Callable[[beam.Pipeline], Any], name: str, workers: int, options: dict[str, Any], flags: list[str]
) -> dict[str, int]:
    """Builds and runs a pipeline; returns its counters by name.

    Raises:
        UserError: what a worker raised.
        ConfigError: an option that Beam does not take.
    """
    settings = dict(options)
    runner: Any = name
    if name == "direct":
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # failures are raised below, not also logged
        runner = FnApiRunner()
        settings |= {
            "direct_num_workers": workers,
            "direct_running_mode": "multi_processing" if workers > 1 else "in_memory",
        }
    check_flags([f"--{key}" for key in options] + flags)
    try:
        parsed = PipelineOptions(flags, **settings)
        pipeline = beam.Pipeline(runner=runner, options=parsed)
        build(pipeline)
        result = pipeline.run()
        result.wait_until_finish()
    except Exception as error:  # the runner's own exception types differ; ours are marked inside their text
        found = unmark(f"{error}")
        if found is None:
            raise
        raise found from None
    counters = result.metrics().query()["counters"]
    return {counter.key.metric.name: counter.result for counter in counters if counter.key.metric.namespace == "engine"}
