"""What a stage's rows depend on, and whether a folder was made from what is there now: one judge for `status`, a run, and dvc.yaml.

depends_on("score", params) → {"stage": "score", "code": "0.1.0+5b…", "config": {"score": {…}, "models.student": {…}}, "needs": ["scores"]}
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from pipeline.code import code_version, method_code
from pipeline.graph import NAMED, STAGES, Stage
from pipeline.params import Params
from pipeline.paths import Paths
from transforms.core.errors import InputError
from transforms.core.hashing import canonical_json
from transforms.pruning import METHODS, needs
from transforms.storage import files
from transforms.storage.folders import StageFolder, is_changed, is_of_this_version

_ORDER = [stage.folder for stage in STAGES]


def depends_on(name: str, params: Params, method: str = "") -> dict[str, Any]:
    """What the rows of a stage are made from, beside the rows that it reads. `needs` only where the methods decide what it makes."""
    stage = NAMED[name]
    values = params.model_dump(mode="json", by_alias=True)
    values["prune"]["options"] = {name: params.prune.option(name).model_dump(mode="json") for name in METHODS}
    about = {
        "stage": name,
        "code": code_version(name, method),
        "config": {key: _value(values, key.split(".")) for key in keys(stage, params, method)},
    }
    return about | ({"needs": list(stage.needs(params))} if stage.needs else {})


def keys(stage: Stage, params: Params, method: str = "") -> list[str]:
    """The dotted keys of params.yaml that the stage depends on: none where nothing is needed of it, nor the scorer's where the method does not ask it."""
    if stage.needs and not stage.needs(params):
        return []
    found = [_filled(key, params, method) for key in stage.params]
    if stage.name == "prune" and "scorer" not in needs(method, params.prune.option(method)):
        return [key for key in found if key.startswith("prune.")]
    return found


def stale(manifest: dict[str, Any], now: dict[str, Any], paths: Paths, inputs: dict[str, Any] | None = None) -> str:
    """What a finished folder was made from that is otherwise now, as "steps changed"; "" if nothing is.

    `now` is `depends_on`, and the model's identity where that is known; `inputs`: what would be read now, else what lies there is looked at.
    """
    if not is_of_this_version(manifest):
        return "another version of the package wrote it"
    if inputs is None:
        for name, content in manifest["inputs"].items():
            if name == "sources":
                continue
            source = paths.folder(name)
            if source.manifest() is None or is_changed(source, content):
                return f"{name} changed"
    elif manifest["inputs"] != inputs:
        names = {*inputs, *manifest["inputs"]}
        return f"{next(name for name in sorted(names) if inputs.get(name) != manifest['inputs'].get(name))} changed"
    if now.get("needs") != manifest.get("needs"):
        return "what the methods need changed"
    for key in sorted({*now["config"], *manifest["config"]}):
        if now["config"].get(key) != manifest["config"].get(key):
            return f"{key} changed"
    for key in ("code", "model"):
        if key in now and now[key] != manifest.get(key):
            return f"{'the ' if key == 'model' else ''}{key} changed"
    return ""


def refuse_stale(given: dict[str, StageFolder], made_from: dict[str, str], paths: Paths) -> None:
    """Raises InputError for the first of these folders, in the order of the stages, that was made from something else.

    `made_from` is their lineage. What was deleted may be gone.
    """
    sources = {name: paths.folder(name) for name in made_from if name not in given}
    changed = {name for name, source in sources.items() if is_changed(source, made_from[name])}
    if not changed:
        return
    for _, folder in sorted(given.items(), key=lambda one: _ORDER.index(one[0].partition("/")[0])):
        for source in folder.finished_manifest()["inputs"]:
            if source in changed:
                raise InputError(
                    f"{folder.path} was made from an earlier {sources[source].path}: run `{folder.made_by}` again, or `dvc repro`"
                )


def write_needs(params: Params, paths: Paths) -> None:
    """Writes what DVC cannot work out, as files for it to depend on: what is needed of a stage, and a method's own code."""
    about: dict[str, dict[str, Any]] = {
        stage.name: {"needs": list(stage.needs(params))} for stage in STAGES if stage.needs
    }
    about |= {f"prune-{method}": {"code": method_code(method)} for method in params.prune.methods}
    for name, value in about.items():
        os.makedirs(paths.needs, exist_ok=True)
        files.write_bytes(os.path.join(paths.needs, f"{name}.json"), (canonical_json(value) + "\n").encode())


def _filled(key: str, params: Params, method: str) -> str:
    return re.sub(
        r"\{(.+?)\}", lambda found: method if found[1] == "method" else str(_value(params, found[1].split("."))), key
    )


def _value(values: Any, path: Sequence[str]) -> Any:
    for part in path:
        values = values[part] if isinstance(values, dict) else getattr(values, part)
    return values
