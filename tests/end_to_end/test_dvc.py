"""`dvc repro` as users run it: it makes everything, then nothing, then only what a change touches."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FAKE_PARAMS, REPO, digests

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


LOOKS = ("ingest", "models")  # they always look whether their sources changed, in seconds


class Clone:
    """A checkout of this repo's files with the fake configuration."""

    def __init__(self, folder: Path):
        self.folder = folder
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in files.stdout.splitlines():
            if (REPO / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((REPO / name).read_bytes())
        options = (
            "\nprune:\n  methods: [keep_all, first_correct]\n  options: {keep_all: {}, first_correct: {solutions: 1}}\n"
        )
        rest = "verify: {}\nsegment: {unit: paragraph}\nfilter: {max_per_problem: 1, num_examples: null, bands: [0.5, 1.0]}\nemit: {formats: [messages]}\nreport: {samples: 3}\n"
        (folder / "params.yaml").write_text(FAKE_PARAMS + options + rest)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)

    def change(self, old: str, new: str) -> None:
        path = self.folder / "params.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def repro(self) -> list[str]:
        """Runs `dvc repro`; returns the stages that ran."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["dvc", "repro"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [stage for stage in re.findall(r"Running stage '(.+)'", done.stdout) if stage not in LOOKS]

    def engines_started(self, log: str) -> int:
        return json.loads((self.folder / "data" / "logs" / f"{log}.json").read_text())["engine"].get(
            "engines_started", 0
        )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("clone"))
    ran = made.repro()
    assert len(ran) == 12
    return made


def test_again_does_nothing(clone: Clone) -> None:
    before = digests(clone.folder / "data", but=("logs",))
    assert clone.repro() == []
    assert digests(clone.folder / "data", but=("logs",)) == before


def test_a_changed_source_file_reruns_what_follows(clone: Clone) -> None:
    source = clone.folder / "mine.jsonl"
    source.write_text('{"question": "What is 1 + 2 + 3 ?", "answer": 6}\n')
    clone.change("  sources:\n", "  sources:\n    - {kind: jsonl, path: mine.jsonl}\n")
    assert "generate" in clone.repro()
    assert clone.repro() == []
    source.write_text(source.read_text() + '{"question": "What is 4 + 5 + 6 ?", "answer": 15}\n')
    assert "generate" in clone.repro()
    rows = json.loads((clone.folder / "data" / "problems" / "manifest.json").read_text())["rows"]
    assert rows["read"] == 47


def test_metrics_and_plots_show(clone: Clone) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (["dvc", "metrics", "show"], ["dvc", "plots", "show"]):
        done = subprocess.run(
            command, cwd=clone.folder, capture_output=True, text=True, env={**os.environ, "PATH": path}
        )
        assert done.returncode == 0, done.stderr
    assert (clone.folder / "dvc_plots" / "index.html").exists()


def test_a_pruning_option_reruns_only_its_method_and_what_follows(clone: Clone) -> None:
    parts = {name: clone.folder / "data" / name / "manifest.json" for name in ("scores", "annotations")}
    before = {name: path.stat().st_mtime_ns for name, path in parts.items()}
    clone.change("solutions: 1", "solutions: 1, keep_conclusion: true")
    ran = clone.repro()
    assert not {"score", "annotate"} & set(ran)  # the methods need what they needed before
    assert {name: path.stat().st_mtime_ns for name, path in parts.items()} == before
    assert [stage for stage in ran if stage not in ("score", "annotate")] == [
        "prune@first_correct",
        "recheck@first_correct",
        "filter",
        "emit",
        "report",
    ]


def test_a_threshold_starts_no_model(clone: Clone) -> None:
    clone.change("recheck: {model: teacher}", "recheck: {model: teacher, max_loss_nats_per_token: 1000}")
    assert set(clone.repro()) >= {"recheck@keep_all", "recheck@first_correct"}
    assert clone.engines_started("recheck-keep_all") == clone.engines_started("recheck-first_correct") == 0


def test_a_killed_stage_goes_on(clone: Clone) -> None:
    """DVC keeps the unfinished folder, as its outputs persist."""
    clone.change("{engine: fake}", "{engine: fake, delay_seconds: 0.05, accuracy: 0.7}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ["dvc", "repro", "generate"],
        cwd=clone.folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    work = clone.folder / "data" / "traces" / "_work"
    while len(list(work.glob("0*.json"))) < 2:
        assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, 9)
    process.wait()
    (clone.folder / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
    done = subprocess.run(
        ["dvc", "repro", "generate"], cwd=clone.folder, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert "going on, " in done.stderr


def test_a_second_round_is_made_beside_the_first(clone: Clone) -> None:
    """The last test of this clone: it leaves the second round behind."""
    before = digests(clone.folder / "data", but=("logs", "cache", "models", "round-2"))
    clone.change("round: 1, folder: data", "round: 2, folder: data/round-2")
    assert {"generate", "verify", "filter", "emit"} <= set(clone.repro())
    assert digests(clone.folder / "data", but=("logs", "cache", "models", "round-2")) == before
    assert {"problems", "traces", "kept", "shards", "report"} <= {
        path.name for path in (clone.folder / "data" / "round-2").iterdir()
    }
    assert clone.repro() == []
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "plots", "show"], cwd=clone.folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
