"""Think-Prune-Train in rounds: the teacher of round r is the model trained on the shards of round r − 1.

    base.round: 1   problems, traces, … shards in data/           teacher: models.teacher, as params name it
    base.round: 2   problems, traces, … shards in data/round-2/   teacher: the model in data/student
    base.round: 3   … in data/round-3/                            teacher: the model in data/round-2/student

(arXiv 2504.18116.) Training is the trainer's work: its result, a folder as `save_pretrained` writes it, goes where
the next round looks.
"""

from __future__ import annotations

import os

from pipeline.params import Params
from pipeline.paths import Paths
from transforms.core.errors import InputError
from transforms.inference.models import has_weights


def of_round(params: Params, paths: Paths) -> Params:
    """The parameters with the round's teacher in place of `models.{generate.model}`; its engine and settings stay."""
    if paths.round == 1:
        return params
    name = params.generate.model
    model = params.models[name]
    trained = {"model": paths.teacher} if has_weights(model) else {}
    if model.engine == "endpoint":  # the cache must tell the rounds' teachers apart
        trained = {"revision": f"{model.revision or ''} trained on round {paths.round - 1}".strip()}
    teacher = model.model_copy(update=trained)
    return params.model_copy(update={"models": {**params.models, name: teacher}})


def check_teacher(params: Params, paths: Paths) -> None:
    """Raises InputError if the round before has no trained model yet."""
    here = has_weights(params.models[params.generate.model])
    if paths.round > 1 and here and not os.path.isfile(os.path.join(paths.teacher, "config.json")):
        raise InputError(
            f"round {paths.round} generates with the model trained on round {paths.round - 1}'s shards, and there is none in "
            f"{paths.teacher}: train it and save it there (docs/rounds.md), or set base.round: {paths.round - 1}"
        )
