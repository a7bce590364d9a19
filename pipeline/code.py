"""Which code makes a stage's rows: the modules that it imports, directly or not, and their checksum.

dvc.yaml lists the same modules as the stage's deps; a test compares them.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pipeline
from pipeline.params import ASKING
from transforms.core.hashing import fingerprint
from transforms.pruning import METHODS

ROOT = Path(pipeline.__file__).parent.parent
PROMPTS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("transforms/prompts/*.txt"))
DATA = {
    "transforms/coherence/vocabulary.py": ["transforms/coherence/words.toml"],
    "transforms/text/discourse.py": ["transforms/text/cues.toml"],
    "transforms/prompts/__init__.py": PROMPTS,
}  # files that a module reads


def code_version(stage: str, method: str = "") -> str:
    """The package's version and the sha256 of the code that makes the stage's rows."""
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in modules(stage, method)}
    return f"{pipeline.__version__}+{fingerprint(sources)[:16]}"


def modules(stage: str, method: str = "") -> list[str]:
    """Paths of the stage's modules below the root, sorted; of the pruning methods only `method`'s."""
    others = {f"transforms/pruning/methods/{name}.py" for name in METHODS} - {f"transforms/pruning/methods/{method}.py"}
    asks = stage == "prune" and hasattr(METHODS.get(method), "dialogue")
    waiting = [_file(f"transforms.{stage}")]
    waiting += [f"transforms/pruning/methods/{method}.py"] if stage == "prune" else []
    waiting += [_file("transforms.shards.asking")] if stage in (*ASKING, "segment") or asks else []
    waiting += [_file("transforms.import_traces")] if stage == "generate" else []
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name and name not in found and name not in others:
            found.add(name)
            waiting += imports(name)
            found.update(DATA.get(name, []))
    return sorted(found)


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
