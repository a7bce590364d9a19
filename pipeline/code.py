"""Which code makes a stage's rows: the modules that it imports, directly or not, and their checksum.

dvc.yaml lists the same modules as the stage's deps.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path, PurePosixPath

import pipeline
from pipeline.graph import NAMED
from transforms.core.hashing import fingerprint
from transforms.pruning import METHODS

ROOT = Path(pipeline.__file__).parent.parent
ROOMS = ("transforms/", "pipeline/stages/", "pipeline/report/")  # what makes rows; the rest of pipeline/ runs them


def _files(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))


DATA = {
    "transforms/coherence/vocabulary.py": ["transforms/coherence/words.toml"],
    "transforms/text/discourse.py": ["transforms/text/cues.toml"],
    "transforms/prompts/__init__.py": _files("transforms/prompts/*.txt"),
    "transforms/sandbox/bubblewrap.py": _files("transforms/sandbox/guests/*.py"),
    "pipeline/report/page.py": _files("pipeline/report/templates/*.html"),
}  # what a module reads or runs


def code_version(stage: str, method: str = "") -> str:
    """The package's version and the sha256 of the code that makes the stage's rows, its wiring included."""
    return f"{pipeline.__version__}+{fingerprint(_sources(modules(stage, method)))[:16]}"


def modules(stage: str, method: str = "") -> list[str]:
    """Paths of the stage's modules below the root, sorted: of the pruning methods only `method`'s, of the engines none where none is asked."""
    others = {f"transforms/pruning/methods/{name}.py" for name in METHODS if name != method}
    asks = bool(NAMED[stage].asks) if stage != "prune" else method != "" and METHODS[method].dialogue is not None
    waiting = [f"pipeline/stages/{stage}.py", *(["transforms/shards/asking.py"] if asks else [])]
    waiting += [f"transforms/pruning/methods/{method}.py"] if stage == "prune" and method else []
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and name not in others and name.startswith(ROOMS):
            found.add(name)
            waiting += imports(name)
            found.update(DATA.get(name, []))
    packages = {f"{parent}/__init__.py" for name in found for parent in PurePosixPath(name).parents}
    return sorted(found | {name for name in packages if name.startswith(ROOMS) and (ROOT / name).is_file()})


def method_code(method: str) -> dict[str, str]:
    """The checksum of each module that `prune` has for this method and not for others, but for the method's own."""
    own = set(modules("prune", method)) - set(modules("prune")) - {f"transforms/pruning/methods/{method}.py"}
    return {name: fingerprint({"text": text}) for name, text in _sources(sorted(own)).items()}


def _sources(names: list[str]) -> dict[str, str]:
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


@cache
def imports(name: str) -> list[str]:
    """Paths of this project's modules that the file `name` imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return sorted({path for path in map(_file, found) if path})


def _file(module: str) -> str:
    """The path of a module of this project below the root, or ""."""
    stem = module.replace(".", "/")
    return next((name for name in (f"{stem}.py", f"{stem}/__init__.py") if (ROOT / name).is_file()), "")
