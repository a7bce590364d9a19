"""Rounds are kept apart, and each generates with the model trained on the one before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.params import load
from pipeline.paths import Paths
from pipeline.rounds import of_round
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import STAGES, digests
from transforms.core.errors import ConfigError
from transforms.core.records import Example
from transforms.inference.weights import identity
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

ROUND = ("--set", "base.round=2", "--set", "base.folder=data/round-2")


def run(fake_params: Path, data: Path, round: int) -> None:
    """All stages of a round."""
    folder = "data" if round == 1 else f"data/round-{round}"
    params = load(str(fake_params), [f"base.round={round}", f"base.folder={folder}"])
    paths = Paths(str(data), round)
    for stage in STAGES:
        run_stage(stage, Context(of_round(params, paths), paths))


@pytest.mark.slow  # all stages, twice
def test_a_second_round_has_a_folder_of_its_own_and_the_same_cache(fake_params: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    run(fake_params, data, 1)
    first = digests(data)
    run(fake_params, data, 2)
    assert {name: value for name, value in digests(data).items() if not name.startswith("round-2/")} == first
    assert not (data / "round-2" / "cache").exists()
    for number, folder in ((1, data), (2, data / "round-2")):
        shards = StageFolder(str(folder / "shards" / "messages"))
        assert {row.round for row in read_rows(Example, shards.part_paths())} == {number}
    log = json.loads((data / "round-2" / "logs" / "generate.json").read_text())
    assert log["engine"]["cache_hits"] == log["engine"]["requests"]  # the fake teacher is the same in both rounds


def test_a_served_teacher_is_another_one_in_each_round(fake_params: Path) -> None:
    endpoint = "models.teacher={engine: endpoint, model: m, base_url: 'http://127.0.0.1:1/v1', revision: v1}"
    params = load(
        str(fake_params), [endpoint, "models.student={engine: fake}", "score.model=student", "recheck.model=student"]
    )
    found = [of_round(params, Paths("data", number)).models["teacher"] for number in (1, 2, 3)]
    assert [model.revision for model in found] == ["v1", "v1 trained on round 1", "v1 trained on round 2"]  # type: ignore[union-attr]
    assert len({str(identity(model, "")) for model in found}) == 3


def test_the_data_folder_is_that_of_all_rounds() -> None:
    for folder in ("data/round-2/", "data/round-2/.", "data/round-3", "round-2"):
        with pytest.raises(ConfigError, match="name the folder of all rounds"):
            Paths(folder, 2)
    assert Paths("data/around-2", 2).stage("traces") == "data/around-2/round-2/traces"


def test_the_teacher_is_the_model_of_the_round_before(fake_params: Path) -> None:
    params = load(
        str(fake_params),
        [
            "models.teacher={engine: vllm, model: org/name}",
            "score.model=student",
            "recheck.model=student",
            "models.student={engine: fake}",
        ],
    )
    assert of_round(params, Paths("data")).models["teacher"].model == "org/name"
    third = of_round(params, Paths("data", 3))
    assert third.models["teacher"].model == "data/round-2/student"
    assert third.models["student"] == params.models["student"]
    assert of_round(params, Paths("data", 2)).models["teacher"].model == "data/student"


@pytest.mark.parametrize("stage", ["models", "generate"])
def test_a_round_without_a_trained_model_says_where_it_is_expected(
    pipeline: Callable[..., Any], tmp_path: Path, stage: str
) -> None:
    assert pipeline("ingest", *ROUND).returncode == 0
    done = pipeline(
        stage, *ROUND, "--set", "models.teacher={engine: vllm, model: org/name}",
        "--set", "models.student={engine: fake}", "--set", "score.model=student", "--set", "recheck.model=student",
    )  # fmt: skip
    assert done.returncode == 1
    assert f"there is none in {tmp_path}/data/student" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("overrides", [["base.round=2"], ["base.folder=data/round-2"], ["base.round=0"]])
def test_a_folder_of_another_round_is_refused(fake_params: Path, overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"base\.(folder|round)"):
        load(str(fake_params), overrides)
