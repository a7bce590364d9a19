"""What is checked before anything runs."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from pipeline.freshness import keys
from pipeline.graph import STAGES
from pipeline.messages import MISSING, value_at
from pipeline.params import Params, load
from transforms.core.errors import ConfigError
from transforms.sandbox.bubblewrap import require


def used_models(params: Params) -> dict[str, Any]:
    """The models that a stage asks, by name."""
    names = {stage.model(params) for stage in STAGES}
    return {name: model for name, model in params.models.items() if name in names}


def check_complete(path: str, overrides: list[str] | None = None) -> Params:
    """Whether `dvc repro` can begin; the parameters.

    Raises:
        ConfigError: the file leaves out a key that dvc.yaml needs; a stage alone would take the default.
        SandboxError: answers will be code, and there is no sandbox.
        ModelError: a key is not in the environment.
    """
    params = load(path, overrides)
    with open(path, encoding="utf-8") as file:
        values = YAML(typ="safe", pure=True).load(file)
    check_sandbox(params)
    for model in used_models(params).values():
        if model.engine == "endpoint":
            model.api_key()  # is it set?
    if not params.base.folder:
        raise ConfigError(f"{path}: base.folder is missing; DVC needs it there: data, or data/round-2 for round 2")
    for stage in STAGES:
        for method in params.prune.methods:
            for key in [*([stage.asks] if stage.asks else []), *keys(stage, params, method)]:
                if value_at(values, key.split(".")) == MISSING:
                    raise ConfigError(f"{path}: {key} is missing; DVC needs it there, even if it is its default")
    return params


def check_sandbox(params: Params) -> None:
    """Whether code of a model can be run here, if any will be: asked before the teacher is paid.

    Raises:
        SandboxError: answers will be code, and there is no sandbox.
    """
    here = params.runner.name == "direct"  # else the workers judge, and their image has what they need
    given = (*params.ingest.sources, *params.generate.imports)
    if here and any(source.kind != "reasoning_gym" and source.answer_kind == "code" for source in given):
        require(params.verify.allow_unsandboxed)
