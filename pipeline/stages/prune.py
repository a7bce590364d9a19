"""pruned/METHOD/ from steps/, and what the method needs of scores/, annotations/ and the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, over
from transforms import prune
from transforms.core.errors import InputError
from transforms.core.records import Annotations, Pruned, SegmentedTrace, TraceScores
from transforms.pruning import needs
from transforms.pruning.given import PruneInput
from transforms.shards.joins import beside
from transforms.shards.mapping import Job, Shard

_BESIDE = {"scores": TraceScores, "annotations": Annotations}


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One.

    Raises:
        InputError: scores or annotations were made for methods that need less.
    """
    config = context.params.prune.option(method)
    wanted = needs(method, config)
    needed = {"scores": wanted & {"scores"}, "annotations": wanted & {"actions", "path", "rewrites"}}
    names = [name for name, asked in needed.items() if asked]
    for name in names:
        folder = context.paths.folder(name)
        if not needed[name] <= set(folder.finished_manifest()["needs"]):
            raise InputError(
                f"{folder.path} was made for methods that do not need what {method} does: "
                f"run `{folder.made_by}` again, or `dvc repro`"
            )
    read = partial(_inputs, names=names)
    if "scorer" in wanted:
        job = Job("prune", Pruned, read, dialogue=partial(prune.dialogue, method=method, config=config))
        yield over(context, "prune", job, ["steps", *names], method, ask=context.params.score.model)
    else:
        job = Job("prune", Pruned, read, partial(prune.prune, method=method, config=config))
        yield over(context, "prune", job, ["steps", *names], method)


def _inputs(shard: Shard, names: list[str]) -> Iterator[PruneInput]:
    for trace, *others in beside([SegmentedTrace, *(_BESIDE[name] for name in names)], shard.source):
        yield PruneInput(trace, **dict(zip(names, others, strict=True)))
