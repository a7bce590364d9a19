"""Whether a folder was made from what is there now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.paths import FOLDERS, MATRIX, Paths
from transforms.errors import InputError
from transforms.folders import StageFolder, is_changed

_ORDER = list(FOLDERS.values())


def freshness(manifest: dict[str, Any], paths: Paths) -> str:
    """ "done", or what the folder was made from and is not there any more."""
    for name, source, content in _sources(manifest, paths):
        if source.manifest() is None or source.content() != content:
            return f"stale: {name} changed"
    return "done"


def refuse_stale(given: dict[str, StageFolder], paths: Paths) -> None:
    """Raises InputError for the first of these folders, in the order of the stages, that was made from something else.

    What was deleted may be gone.
    """
    for name, folder in sorted(given.items(), key=lambda one: _ORDER.index(one[0].partition("/")[0])):
        for _, source, content in _sources(folder.finished_manifest(), paths):
            if is_changed(source, content):
                raise InputError(
                    f"{folder.path} was made from an earlier {source.path}: run `{_command(name)}` again, or `dvc repro`"
                )


def _sources(manifest: dict[str, Any], paths: Paths) -> Iterator[tuple[str, StageFolder, str]]:
    for name, content in manifest["inputs"].items():
        if name != "sources":
            yield name, StageFolder(paths.stage(name)), content


def _command(name: str) -> str:
    """What makes "pruned/asap"."""
    folder, _, method = name.partition("/")
    stage = list(FOLDERS)[_ORDER.index(folder)]
    return f"python -m pipeline {stage}" + (f" --method {method}" if stage in MATRIX else "")
