"""Files for people are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands.export import export
from pipeline.commands.writing import lines, whole_or_none
from pipeline.params import load
from pipeline.paths import Paths
from tests.conftest import REPO
from transforms.core.errors import InputError


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.parquet"])
def test_an_export_that_fails_leaves_nothing(tmp_path: Path, name: str) -> None:
    params = load(str(REPO / "params.yaml"))
    with pytest.raises(InputError, match="is not finished"):
        export(params, Paths(str(tmp_path / "data")), "recheck", [], str(tmp_path / name))
    assert not list(tmp_path.iterdir())


def test_what_was_written_before_an_error_is_gone(tmp_path: Path) -> None:
    def fail() -> None:
        with lines(str(tmp_path / "rows.jsonl")) as file:
            file.write("half a row")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with whole_or_none(str(tmp_path / "whole")) as unfinished:
        Path(unfinished).write_text("all")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
