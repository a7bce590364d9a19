"""annotations/ from steps/ and the teacher; where no method needs them, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, first, over
from transforms import annotate
from transforms.core.records import Annotations, SegmentedTrace
from transforms.shards.mapping import Job
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config, needs, read = context.params.annotate, context.params.prune.opinions, partial(first, SegmentedTrace)
    if not needs:
        yield over(context, "annotate", Job("annotate", Annotations, read, annotate.not_asked), ["steps"])
        return
    talk = partial(annotate.dialogue, config=config, model=context.params.models[config.model].model, wanted=needs)
    job = Job("annotate", Annotations, read, dialogue=talk)
    remarks = partial(_remarks, model=config.model, is_likelihood=config.opinions == "likelihood")
    yield over(context, "annotate", job, ["steps"], ask=config.model, remarks=remarks)


def _remarks(folder: StageFolder, model: str, is_likelihood: bool) -> Iterator[str]:
    labels = annotate.label_counts(read_rows(Annotations, folder.part_paths()))
    for name, said in annotate.degenerate_opinions(labels).items():
        instead = "" if is_likelihood else "annotate.opinions: likelihood, or "
        yield (
            f"to {model} nearly every step is {said!r} ({name}), so its opinions say nothing: "
            f"try {instead}another annotate.model"
        )
