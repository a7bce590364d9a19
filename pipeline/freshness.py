"""Whether a folder was made from what is there now."""

from __future__ import annotations

from typing import Any

from pipeline.paths import FOLDERS, MATRIX, Paths
from transforms.errors import InputError
from transforms.folders import StageFolder, is_changed

_ORDER = list(FOLDERS.values())


def freshness(manifest: dict[str, Any], paths: Paths) -> str:
    """ "done", or what the folder was made from and is not there any more."""
    for name, content in manifest["inputs"].items():
        source = StageFolder(paths.stage(name))
        if name != "sources" and (source.manifest() is None or is_changed(source, content)):
            return f"stale: {name} changed"
    return "done"


def refuse_stale(given: dict[str, StageFolder], made_from: dict[str, str], paths: Paths) -> None:
    """Raises InputError for the first of these folders, in the order of the stages, that was made from something else.

    `made_from` is their lineage. What was deleted may be gone.
    """
    sources = {name: StageFolder(paths.stage(name)) for name in made_from if name not in given}
    changed = {name for name, source in sources.items() if is_changed(source, made_from[name])}
    if not changed:
        return
    for name, folder in sorted(given.items(), key=lambda one: _ORDER.index(one[0].partition("/")[0])):
        for source in folder.finished_manifest()["inputs"]:
            if source in changed:
                raise InputError(
                    f"{folder.path} was made from an earlier {sources[source].path}: run `{_command(name)}` again, or `dvc repro`"
                )


def _command(name: str) -> str:
    """What makes "pruned/asap"."""
    folder, _, method = name.partition("/")
    stage = list(FOLDERS)[_ORDER.index(folder)]
    return f"python -m pipeline {stage}" + (f" --method {method}" if stage in MATRIX else "")
