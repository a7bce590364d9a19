"""The house is in order: imports go one way, dvc.yaml and the README name what exists."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import code, dvc, graph
from pipeline.code import code_version, imports, method_code, modules
from pipeline.freshness import keys
from pipeline.messages import MISSING, value_at
from pipeline.params import Params, load
from tests.conftest import REPO
from transforms.pruning import METHODS

MODULES = sorted(path for package in ("pipeline", "transforms") for path in (REPO / package).rglob("*.py"))
STAGES = [stage.name for stage in graph.STAGES]
# What the modules of a room import of other rooms, beside `core`, which imports none.
MAY_IMPORT = {
    "core": (),
    "text": (),
    "prompts": (),
    "coherence": (),
    "formats": ("steps/versions",),
    "sandbox": (),
    "selection": (),
    "storage": (),
    "inference": ("storage",),
    "shards": ("inference", "steps/versions", "storage"),
    "answers": ("text", "inference/requests"),
    "steps": ("text", "inference/requests"),
    "judging": ("answers", "sandbox"),
    "sources": ("answers", "storage", "inference/requests", "judging/gym_scorers"),
    "pruning": ("answers", "steps", "text", "inference/requests", "inference/dialogue"),
}
JUDGES = {"transforms/pruning/methods/first_correct.py"}
STAGE_FILES = {f"transforms/{path.name}" for path in (REPO / "transforms").glob("*.py")} - {"transforms/__init__.py"}
BEAM = {"transforms/shards", "transforms/storage/files.py"}


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
    ours = [module for module in imports(name) if not module.endswith("transforms/__init__.py")]
    if name.startswith("transforms/"):
        assert not [module for module in ours if module.startswith("pipeline/")]
        if name not in STAGE_FILES | BEAM and not any(name.startswith(room) for room in BEAM):
            assert "apache_beam" not in heavy(path)
    if name in STAGE_FILES:
        others = STAGE_FILES - ({"transforms/generate.py"} if name == "transforms/import_traces.py" else set())
        assert not others.intersection(ours), "no stage imports another"
    elif name.count("/") > 1 and name.startswith("transforms/"):
        room = name.split("/")[1]
        allowed = [room, "core", *MAY_IMPORT[room], *(["judging"] if name in JUDGES else [])]
        assert not [module for module in ours if not module.startswith(tuple(f"transforms/{one}" for one in allowed))]
    elif name.startswith("pipeline/stages/") and path.stem not in ("base", "__init__"):
        assert not [module for module in ours if module in {f"pipeline/stages/{stage}.py" for stage in STAGES}]
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


def test_dvc_yaml_is_what_the_graph_says() -> None:
    assert (REPO / "dvc.yaml").read_text() == dvc.text(), "run `python -m pipeline graph`"


@pytest.mark.parametrize("stage", graph.STAGES, ids=STAGES)
def test_what_a_stage_depends_on_is_there(stage: graph.Stage) -> None:
    params = load(str(REPO / "params.yaml"))
    for method in METHODS:
        values = YAML(typ="safe").load((REPO / "params.yaml").read_text())
        assert not [key for key in keys(stage, params, method) if value_at(values, key.split(".")) == MISSING]
        for dep in dvc.deps(stage):
            if not dep.startswith(("data/", "${base.folder}/")):
                assert (REPO / dep.replace("${item.method}", method)).exists(), dep
    for folder in stage.reads:
        assert folder.partition("/")[0] in graph.OF_FOLDER
    assert stage.name in Params.model_fields


def test_score_and_annotate_know_nothing_of_judging() -> None:
    for stage in ("segment", "score", "annotate", "prune"):
        assert not [name for name in modules(stage) if "/judging/" in name or "/sandbox/" in name]
        assert stage == "segment" or "transforms/answers/extract.py" not in modules(
            stage
        )  # it is stored with the steps
    judging = {name for name in METHODS if any("/judging/" in one for one in modules("prune", name))}
    assert judging == {"first_correct"}
    assert "transforms/judging/judge.py" in method_code("first_correct")
    assert not [name for name in method_code("asap") if "/judging/" in name]


@pytest.mark.parametrize("stage", STAGES)
def test_another_wiring_is_another_code_version(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_version(stage)
    for room in ("pipeline", "transforms"):
        shutil.copytree(REPO / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    assert code_version(stage) == before
    wiring = tmp_path / "pipeline" / "stages" / f"{stage}.py"
    wiring.write_text(wiring.read_text().replace("context.params", "context.params  # or others"))
    assert code_version(stage) != before


def test_another_method_is_no_part_of_a_methods_code() -> None:
    assert "transforms/pruning/methods/first_correct.py" in modules("prune", "first_correct")
    assert "transforms/pruning/methods/first_correct.py" not in modules("prune", "keep_all")
    assert code_version("prune", "keep_all") != code_version("prune", "first_correct")
    assert "transforms/inference/vllm.py" in modules("generate")
    assert "transforms/emit.py" not in modules("generate")


def test_readme_names_every_stage_and_its_commands_exist() -> None:
    readme = (REPO / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| .*?→ `([\w/]+)/` \|", readme, re.MULTILINE))
    assert rows == {stage.name: f"{stage.folder}/{stage.per.upper()}".rstrip("/") for stage in graph.STAGES}, (
        "the README's table of stages"
    )
    makefile = (REPO / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for stage in re.findall(r"python -m pipeline ([a-z]+)", readme):
        assert stage in (*STAGES, "status", "check", "show", "graph")
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
