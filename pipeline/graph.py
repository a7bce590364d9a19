"""The stages, in order: what each is called, reads, writes and depends on. All else that has to know follows from here:
commands and their help, folders, what makes an output stale, and dvc.yaml (`python -m pipeline graph` writes it).

What a stage does with a shard is in `transforms/NAME.py`, its wiring in `pipeline/stages/NAME.py`, its parameters are the group NAME of
params.yaml. Nothing heavy is imported here, so that `--help` and tab completion are quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.params import Params
    from pipeline.stages.base import Context, Plan


def _asks_none(params: Params) -> str:
    return ""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of the command, the group of params.yaml, and the modules.
        help: one line, for the command and dvc.yaml.
        folder: what it writes, below the data folder; with `per`, one folder a method or format in it.
        reads: folders that it reads; {method} is the method that it runs for.
        params: dotted keys of params.yaml that its rows depend on; {method}, and {score.model}: the value of that key.
        per: "method" | "format" | "".
        tally: the column whose values sum its rows up.
        model: which model it asks, by its name in params; "" for none.
        needs: what it makes only as far as a pruning method needs it; None for a stage that always makes all.
        note: why dvc.yaml has it as it has.
        always: DVC cannot tell whether it is stale: it runs each time, and finds out itself.
        maps: it makes rows of rows, in Beam; else it has a `run` of its own.
    """

    name: str
    help: str
    folder: str
    reads: tuple[str, ...]
    params: tuple[str, ...]
    per: str = ""
    tally: str = ""
    model: Callable[[Params], str] = _asks_none
    needs: Callable[[Params], tuple[str, ...]] | None = None
    note: str = ""
    always: bool = False
    maps: bool = True

    @property
    def asks(self) -> str:
        """The key of the model that it may ask, or ""."""
        return next((key[len("models.{") : -1] for key in self.params if key.startswith("models.{")), "")

    def plans(self, context: Context, method: str) -> Iterator[Plan]:
        """What there is to run, for a method where there is one for each."""
        found: Iterator[Plan] = import_module(f"pipeline.stages.{self.name}").plans(context, method)
        return found

    def run(self, context: Context) -> dict[str, Any]:
        """Runs a stage that does not map rows; returns its manifest."""
        manifest: dict[str, Any] = import_module(f"pipeline.stages.{self.name}").run(context)
        return manifest


STAGES = (
    Stage(
        "models",
        help="Make local folders for the models whose weights come from packages.",
        folder="models",
        reads=(),
        params=("base.round", "annotate.model", "generate.import", "generate.model", "recheck.model", "score.model", "models"),
        always=True,
        note="models may be in folders of yours; and it notes what the pruning methods need, which DVC cannot work out",
        maps=False,
    ),
    Stage(
        "ingest",
        help="Read the problems of all sources.",
        folder="problems",
        reads=(),
        params=("base", "ingest", "generate.import"),
        always=True,
        note="DVC cannot see the sources; the stage does, in seconds, and leaves its output alone",
    ),
    Stage(
        "generate",
        help="Ask the teacher for traces, or import them.",
        folder="traces",
        reads=("problems",),
        params=("base.round", "generate", "verify", "models.{generate.model}"),
        model=lambda params: "" if params.generate.imports else params.generate.model,
    ),
    Stage(
        "verify",
        help="Judge each trace's answer.",
        folder="verdicts",
        reads=("traces",),
        params=("verify",),
        tally="outcome",
    ),
    Stage(
        "segment",
        help="Split the thinking into steps.",
        folder="steps",
        reads=("traces",),
        params=("segment", "score.model", "models.{score.model}"),
        model=lambda params: params.score.model if params.segment.unit == "confidence" else "",
        note="the unit confidence asks the scorer",
    ),
    Stage(
        "score",
        help="Score the steps with the scorer.",
        folder="scores",
        reads=("steps",),
        params=("score", "models.{score.model}"),
        model=lambda params: params.score.model if "scores" in params.prune.needs else "",
        needs=lambda params: tuple(sorted(params.prune.needs & {"scores"})),
    ),
    Stage(
        "annotate",
        help="Ask the teacher what to do with each step.",
        folder="annotations",
        reads=("steps",),
        params=("annotate", "models.{annotate.model}"),
        model=lambda params: params.annotate.model if params.prune.opinions else "",
        needs=lambda params: params.prune.opinions,
    ),
    Stage(
        "prune",
        help="Decide which steps go.",
        folder="pruned",
        reads=("steps", "scores", "annotations"),
        params=("prune.options.{method}", "score.model", "models.{score.model}"),
        per="method",
        model=lambda params: params.score.model if "scorer" in params.prune.needs else "",
        note="some methods ask the scorer",
    ),
    Stage(
        "recheck",
        help="Check that pruned traces still hold.",
        folder="rechecked",
        reads=("steps", "pruned/{method}"),
        params=("recheck", "verify", "models.{recheck.model}"),
        per="method",
        tally="status",
        model=lambda params: params.recheck.model,
    ),
    Stage(
        "filter",
        help="Keep what is correct, a few per problem.",
        folder="kept",
        reads=("steps", "pruned", "rechecked", "verdicts", "traces"),
        params=("base.seed", "filter", "prune.methods"),
    ),
    Stage(
        "emit",
        help="Write training shards.",
        folder="shards",
        reads=("kept", "steps", "pruned", "rechecked"),
        params=("base.round", "base.seed", "emit", "prune.methods"),
        per="format",
    ),
    Stage(
        "report",
        help="Sum up the run.",
        folder="report",
        reads=("annotations", "kept", "problems", "pruned", "rechecked", "shards", "steps", "traces", "verdicts"),
        params=("report", "filter.bands", "filter.num_examples", "prune.methods", "emit.formats"),
        maps=False,
    ),
)  # fmt: skip
NAMED = {stage.name: stage for stage in STAGES}
OF_FOLDER = {stage.folder: stage for stage in STAGES}
