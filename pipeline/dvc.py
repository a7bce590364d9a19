"""Writes dvc.yaml: what `pipeline.graph` says, and the modules that each stage's code is."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from pipeline.code import ROOT, modules
from pipeline.graph import STAGES, Stage

_HEAD = """\
# Written by `python -m pipeline graph` of pipeline/graph.py. `dvc repro` runs the stages whose inputs, parameters or code changed.
#
# A stage's params are what it depends on, and its code deps are the modules that make its rows. What DVC cannot work out, the stage
# `models` writes to data/needs. Outputs persist, so that a stage that was killed resumes.

stages:
"""
_REPORT = """\
    outs:
      - ${base.folder}/report/index.html
      - ${base.folder}/report/manifest.json
    metrics:
      - ${base.folder}/report/metrics.json
    plots:
      - ${base.folder}/report/tokens.csv

plots:
  - ${base.folder}/report/tokens.csv:
      template: scatter
      x: tokens_before
      y: tokens_after
      x_label: thinking tokens before pruning
      y_label: after pruning and re-check
      title: Correct traces, before and after
"""


def text() -> str:
    """The file."""
    return _HEAD + "\n".join(map(_entry, STAGES))


def _entry(stage: Stage) -> str:
    of_method = stage.per == "method"
    lines = [f"  {stage.name}:"]
    lines += ["    matrix:", "      method: ${prune.methods}"] * of_method
    lines += [f"    desc: {stage.help.rstrip('.')}", f"    cmd: {_command(stage)}"]
    note = f"   # {stage.note}" if stage.note else ""
    lines += [f"    always_changed: true{note}"] * stage.always
    lines.append(f"    params: [{', '.join(map(_key, stage.params))}]{'' if stage.always else note}")
    lines += ["    deps:", *(f"      - {dep}" for dep in deps(stage))]
    if stage.name == "report":
        return "\n".join(lines) + "\n" + _REPORT
    return "\n".join([*lines, "    outs:", *(f"      - {out}" for out in _outs(stage))]) + "\n"


def _command(stage: Stage) -> str:
    return f"python -m pipeline {stage.name}" + " --method ${item.method}" * (stage.per == "method")


def _key(key: str) -> str:
    """A dotted key as DVC fills it in: quoted where it has braces."""
    filled = re.sub(r"\{(.+?)\}", lambda found: f"${{{_item(found[1])}}}", key)
    return f'"{filled}"' if filled != key else key


def _item(name: str) -> str:
    return "item.method" if name == "method" else name


def _outs(stage: Stage) -> list[str]:
    if stage.name == "models":
        return [f"data/{name}: {{persist: true, cache: false}}" for name in ("models", "needs")]
    return [f"${{base.folder}}/{stage.folder}{'/${item.method}' * (stage.per == 'method')}: {{persist: true}}"]


def deps(stage: Stage) -> list[str]:
    """What the stage reads, what it needs to know, and its code: whole folders where all of their modules are in it."""
    inputs = [f"${{base.folder}}/{name.replace('{method}', '${item.method}')}" for name in stage.reads]
    inputs += ["data/models/manifest.json"] * bool(stage.asks)
    inputs += [f"data/needs/{stage.name}.json"] * (stage.needs is not None)
    code = folded(modules(stage.name))
    if stage.name == "prune":
        inputs.append("data/needs/prune-${item.method}.json")
        code.append("transforms/pruning/methods/${item.method}.py")
    return [*sorted(inputs), *sorted(code)]


def folded(files: list[str]) -> list[str]:
    """The files; of a folder all of whose files are among them, the folder."""
    wanted, found = set(files), set()
    for name in files:
        whole = [
            parent
            for parent in PurePosixPath(name).parents
            if len(parent.parts) >= 2 and str(parent) != "pipeline/stages" and _files(str(parent)) <= wanted
        ]
        found.add(str(whole[-1]) if whole else name)
    return sorted(found)


def _files(folder: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
