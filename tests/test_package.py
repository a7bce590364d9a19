"""setup.py is what Beam ships to workers: its sdist holds all that the stages need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import REPO


@pytest.mark.slow
def test_the_sdist_holds_every_module_and_template(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(tmp_path)]
    egg = ["egg_info", "--egg-base", str(tmp_path)]
    done = subprocess.run([*command[:3], *egg, *command[3:]], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        shipped = {name.partition("/")[2] for name in files.getnames()}
    modules = {
        str(path.relative_to(REPO)) for package in ("pipeline", "transforms") for path in (REPO / package).rglob("*.py")
    }
    assert modules <= shipped
    assert "pipeline/report/templates/report.html" in shipped
    assert "transforms/prompts/actions-1.txt" in shipped
