"""What the tests share: a fake configuration, example records, and `collect` for PTransforms."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from hypothesis import settings

from pipeline import graph
from pipeline.__main__ import main
from transforms.inference.requests import Exchange, GenerateRequest, Response, Sampling, TokenScores

REPO = Path(__file__).parent.parent
settings.register_profile("patient", deadline=None)  # other work on the machine is no failure
settings.load_profile("patient")

SHARED_DATA = Path(os.environ.get("SHARED_DATA", REPO.parent / "shared" / "data"))
NO_REAL_DATA = "no real traces and problems here, so their tests are skipped: set SHARED_DATA to the folder with them"


def shared(name: str) -> Path:
    """A file of the real traces and problems. The test is skipped where there are none and none were named; else a missing file fails it."""
    if "SHARED_DATA" not in os.environ and not SHARED_DATA.is_dir():
        pytest.skip(NO_REAL_DATA)
    path = SHARED_DATA / name
    assert path.exists(), f"{path} is not there: set SHARED_DATA to the folder with the real traces and problems"
    return path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says which data the tests had, as without the real ones some are skipped."""
    terminalreporter.write_line(f"data: {SHARED_DATA}" if SHARED_DATA.is_dir() else f"data: {NO_REAL_DATA}")


FAKE_PARAMS = """
base: {seed: 17, round: 1, folder: data, shard_rows: 10}
models:
  teacher: {engine: fake}
ingest:
  sources:
    - {kind: reasoning_gym, dataset: chain_sum, size: 40, config: {min_terms: 3, max_terms: 5}}
    - {kind: reasoning_gym, dataset: gsm_symbolic, size: 5}
generate: {model: teacher, samples_per_problem: 3, import: []}
score: {model: teacher}
annotate: {model: teacher}
recheck: {model: teacher}
"""
ASKING_METHODS = """prune:
  methods: [keep_all, first_correct, asap, drp, answer_likelihood]
  options: {asap: {anchor: teacher, mode: iterative}}
"""
STAGES = [stage.name for stage in graph.STAGES if stage.name != "models"]


@pytest.fixture
def fake_params(tmp_path: Path) -> Path:
    """A parameter file that runs every stage without a real model."""
    path = tmp_path / "fake.yaml"
    path.write_text(FAKE_PARAMS)
    return path


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def pipeline(
    fake_params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs `python -m pipeline …` on the fake configuration, in this process: whatever is no user's error fails the test."""
    monkeypatch.chdir(REPO)

    def run(*arguments: str, data: Path | None = None) -> Done:
        more = ["--params", str(fake_params)] * ("--params" not in arguments)
        more += ["--data", str(data or tmp_path / "data")] * ("--data" not in arguments)
        monkeypatch.setattr(sys, "argv", ["pipeline", *arguments, *more])
        capsys.readouterr()
        try:
            code = main()
        except SystemExit as error:
            code = int(error.code or 0)
        return Done(code, *capsys.readouterr())

    return run


def collect(transform: Any, inputs: list[Any]) -> list[Any]:
    """What a PTransform or a chain of them makes of `inputs`, run once."""
    _COLLECTED.clear()
    with beam.Pipeline(runner=FnApiRunner()) as root:
        root | beam.Create(inputs, reshuffle=False) | transform | beam.Map(_remember)
    return list(_COLLECTED)


_COLLECTED: list[Any] = []


def _remember(element: Any) -> None:
    _COLLECTED.append(element)  # by this module's name: Beam pickles functions, and a closure's list would be a copy


def token_scores(text: str, width: int = 3) -> TokenScores:
    """Scores of a tokenizer that cuts every `width` characters; the n-th token has −n/10 and entropy n/10."""
    starts = tuple(range(0, len(text), width))
    values = tuple(number / 10 for number in range(1, len(starts) + 1))
    return TokenScores(starts, tuple(min(s + width, len(text)) for s in starts), tuple(-v for v in values), values)


def answered(*responses: Response) -> list[Exchange]:
    """The responses, each to a request of its own: sample 0, 1, …"""
    return [Exchange(GenerateRequest((), Sampling(), sample), response) for sample, response in enumerate(responses)]


def digests(folder: Path, but: tuple[str, ...] = ("cache", "logs")) -> dict[str, str]:
    """sha256 of every file below a folder, by its path."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in but
    )
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
