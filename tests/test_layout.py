"""The house is in order: imports go one way, dvc.yaml and the README name what exists."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.code import code_version, imports, modules
from pipeline.params import SECTIONS, load
from pipeline.run import STAGES
from tests.conftest import REPO
from transforms.pruning import METHODS

MODULES = sorted(path for package in ("pipeline", "transforms") for path in (REPO / package).rglob("*.py"))
DVC: dict[str, Any] = YAML(typ="safe").load((REPO / "dvc.yaml").read_text())
# What every stage shares. A change there reruns ingest, whose manifest names the code, and so all that follows.
FRAME = {
    "transforms/core",
    "transforms/inference/requests.py",
    "transforms/shards/mapping.py",
    "transforms/storage",
}


def heavy(path: Path) -> set[str]:
    names = {
        node.names[0].name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
    }
    return names | {
        str(node.module).split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPO)))
def test_imports_go_one_way(path: Path) -> None:
    name = str(path.relative_to(REPO))
    if name.startswith("transforms/"):
        assert not any(module.startswith("pipeline/") for module in imports(name))
    if name == "transforms/core/records.py":
        assert imports(name) == []
    if name not in ("transforms/inference/vllm.py",):
        assert "vllm" not in heavy(path)
    if name != "transforms/text/discourse.py":
        assert "spacy" not in heavy(path)
    if name not in (
        "transforms/inference/forward.py",
        "transforms/inference/transformers.py",
        "transforms/inference/weights.py",
        "transforms/inference/quiet.py",
    ):
        assert not heavy(path) & {"torch", "transformers"} or name == "transforms/shards/asking.py"
    if name.startswith("transforms/"):
        assert "params.yaml" not in path.read_text().replace("in params.yaml", "").replace("fix params.yaml", ""), (
            "only pipeline/ reads it"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPO)))
def test_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


LOGIC = "core.records core.schema core.seeding segment answers.thinking text.repetition score annotate prune recheck judging judging.judge judging.workers judging.programs sandbox.bubblewrap text.overlap pruning formats selection.versions selection.difficulty selection.sketches inference.requests inference.structured coherence.flow"


def test_logic_does_not_bring_beam() -> None:
    """Not even through what it imports."""
    names = [f"transforms.{name}" for name in LOGIC.split()]
    code = f"import sys, {', '.join(names)}; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


def dvc_keys(stage: str, method: str) -> set[str]:
    """The params of a stage in dvc.yaml, templates filled in from params.yaml."""
    params = load(str(REPO / "params.yaml"))
    fill = {
        "item.method": method,
        "generate.model": params.generate.model,
        "score.model": params.score.model,
        "annotate.model": params.annotate.model,
        "recheck.model": params.recheck.model,
    }
    return {re.sub(r"\$\{(.+?)\}", lambda found: fill[found[1]], key) for key in DVC["stages"][stage]["params"]}


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_stages_are_complete(stage: str) -> None:
    entry = DVC["stages"][stage]
    assert entry["cmd"].startswith(f"python -m pipeline {stage}")
    for dep in entry["deps"]:
        if not dep.startswith(("data/", "${base.folder}/")):
            for method in METHODS if "${item.method}" in dep else [""]:
                assert (REPO / dep.replace("${item.method}", method)).exists(), dep
    for method in METHODS:
        wanted = {key.replace("{method}", method) for key in SECTIONS[stage]}
        params = load(str(REPO / "params.yaml"))
        for name in ("generate", "score", "annotate", "recheck"):
            wanted = {key.replace(f"{{{name}.model}}", getattr(params, name).model) for key in wanted}
        assert dvc_keys(stage, method) == wanted


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("models", "report")])
def test_dvc_names_the_code_that_makes_the_rows(stage: str, method: str) -> None:
    found = set(modules(stage, method if stage == "prune" else ""))
    deps = [dep.replace("${item.method}", method) for dep in DVC["stages"][stage]["deps"]]
    shared = set() if stage == "ingest" else FRAME
    needed = {
        name for name in found if not name.endswith("/__init__.py") and not any(name.startswith(one) for one in shared)
    }
    missing = {name for name in needed if not any(name == dep or name.startswith(f"{dep}/") for dep in deps)}
    assert not missing


def test_another_method_is_no_part_of_a_methods_code() -> None:
    assert "transforms/pruning/methods/first_correct.py" in modules("prune", "first_correct")
    assert "transforms/pruning/methods/first_correct.py" not in modules("prune", "keep_all")
    assert code_version("prune", "keep_all") != code_version("prune", "first_correct")
    assert "transforms/inference/vllm.py" in modules("generate")
    assert "transforms/emit.py" not in modules("generate")


def test_stages_without_work_are_not_in_the_graph() -> None:
    assert set(DVC["stages"]) == set(STAGES)


def test_readme_names_every_stage_and_its_commands_exist() -> None:
    readme = (REPO / "README.md").read_text()
    for stage in STAGES:
        assert f"`{stage}`" in readme
    makefile = (REPO / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for stage in re.findall(r"python -m pipeline ([a-z]+)", readme):
        assert stage in (*STAGES, "status", "check", "show")
    for link in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (REPO / link).exists(), link
    for quoted, bare in re.findall(
        r"--set (?:'([^']+)'|([\w.]+=[^\s`]+))", readme.replace("group.key=value", "base.seed=1")
    ):
        load(str(REPO / "params.yaml"), [quoted or bare])


def test_nothing_names_this_machine() -> None:
    home = str(REPO)
    for path in [*MODULES, *REPO.glob("*.y*ml"), *REPO.glob("docs/*.md"), REPO / "README.md", REPO / "Makefile"]:
        assert home not in path.read_text()


def test_make_bench_runs_every_script_without_arguments() -> None:
    for script in (REPO / "bench").glob("*.py"):
        positional = re.findall(r'add_argument\(\s*"\w+"[^)]*\)', script.read_text(encoding="utf-8"))
        assert all('nargs="?"' in one for one in positional), script


def test_possessive_groups_are_not_given_to_re() -> None:
    """Before Python 3.11.5 re matches them wrongly; the module regex does not."""
    for path in [*(REPO / "pipeline").rglob("*.py"), *(REPO / "transforms").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("re."):
                texts = [
                    one.value for one in ast.walk(call) if isinstance(one, ast.Constant) and isinstance(one.value, str)
                ]
                assert not [text for text in texts if re.search(r"(?<!\\)\)[*+?]\+|\(\?>", text)], path
