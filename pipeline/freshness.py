"""Whether a folder was made from what is there now."""

from __future__ import annotations

from typing import Any

from pipeline.paths import FOLDERS, Paths
from transforms.core.errors import InputError
from transforms.storage.folders import StageFolder, is_changed

_NEEDS = "what the methods need"  # of scores or opinions, by prune.methods and their options
_ORDER = list(FOLDERS.values())


def freshness(manifest: dict[str, Any], paths: Paths, config: dict[str, Any]) -> str:
    """ "done", or what the folder was made from and is not there any more; `config`: what it would be made with now."""
    for name, content in manifest["inputs"].items():
        if name == "sources":
            continue
        source = paths.folder(name)
        if source.manifest() is None or is_changed(source, content):
            return f"stale: {name} changed"
    changed = [key for key, value in config.items() if manifest["config"].get(key) != value]
    return f"stale: {_NEEDS if changed[0] == 'wanted' else changed[0]} changed" if changed else "done"


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
