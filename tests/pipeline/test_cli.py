"""The command line as a user meets it: exit codes, messages, no tracebacks."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.status import rows as status_rows
from pipeline.commands.status import show
from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import REPO, STAGES, digests
from transforms.core.errors import ConfigError, InputError

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ingst",), 2, "Did you mean 'ingest'"),
        (("ingest", "--prams", "x"), 2, "did you mean --params?"),
        (("prune", "first_correct"), 2, "'first_correct': not expected here; parameters are set with --set"),
        (("ingest", "base.seed=3"), 2, "not expected here"),
        (("ingest", "--runner", "FlinkRunner"), 2, "--runner: set runner.name instead"),
        (("ingest", "--project"), 2, "expected one argument"),
        (("ingest", "--number_of_worker_harness_threads", "abc"), 2, "invalid int value: 'abc'"),
        (("ingest", "--set", "runner.options={number_of_worker_harness_threads: abc}"), 2, "invalid int value: 'abc'"),
        (("ingest", "--set", "runner.options={a: !!binary /w==}"), 2, "runner.options"),
        (("ingest", "--set", "runner.options=&a {b: *a}"), 2, "runner.options"),
        (
            ("models", "--set", "models.more={engine: vllm, model: qwen2.5-coder}"),
            2,
            "models.more.model = 'qwen2.5-coder': neither",
        ),
        (("ingest", "--set", "runner.name=os.path"), 2, "Beam has no such runner"),
        (("ingest", "--set", "runner.name=foo"), 2, "Beam has no such runner"),
        (("ingest", "--data", ""), 2, "must name a folder"),
        (("ingest", "--data", "foo://bar/x"), 2, "no filesystem is installed for it"),
        (("ingest", "--set", "base.a\nb=1"), 2, "unknown key"),
        (("ingest", "--set", "base.seed=2001-99-99"), 2, "the value is not YAML"),
        (("ingest", "--set", f"base.seed={'9' * 5000}"), 2, "the value is not YAML"),
        (("ingest", "--set", "base.seed=" + "[" * 3000), 2, "the value is not YAML"),
        (("ingest", "--set", "base.seed=x"), 2, "base.seed = 'x'"),
        (("ingest", "--set", "runner.options={projct: x}"), 2, "--projct: neither an option"),
        (("prune", "--method", "nope"), 2, "allowed: keep_all, first_correct"),
        (("ingest", "--set", "ingest.sources.0.dataset=nope"), 2, "no such dataset"),
        (("ingest", "--params", "/no/such/file"), 1, "cannot read /no/such/file"),
        (("generate",), 1, "problems is not finished: run `python -m pipeline ingest` first, or `dvc repro`"),
        (("report",), 1, "is not finished"),
        (
            ("export", "emit", "x.jsonl"),
            2,
            "allowed: ingest, generate, verify, segment, score, annotate, prune, recheck, filter; shards/",
        ),
        (("export", "recheck", "x.csv"), 2, "x.csv: must end in .parquet, .jsonl, "),
        (("export", "recheck", "params.yaml"), 2, "must end in"),
        (("export", "recheck", "x.jsonl"), 1, "segment` first"),
        (("export", "verify", "x.jsonl", "--method", "asap"), 2, "--method: the rows of verify are of no method"),
        (
            ("recheck", "--method", "asap", "--set", "prune.methods=[asap]"),
            1,
            "`python -m pipeline segment`",
        ),
        (
            ("models", "--set", "models.more={engine: vllm, model: nope}"),
            2,
            "nor a package model; package models: qwen2.5",
        ),
    ],
)
def test_mistakes(pipeline: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = pipeline(*arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("change", ["ingest.sources.0.seed=4", "ingest.sources.0.size=20"])  # the latter: fewer parts
def test_rows_of_different_runs_are_not_joined(fake_params: Path, tmp_path: Path, change: str) -> None:
    paths = Paths(str(tmp_path / "data"))
    for overrides, stages in (([], STAGES[: STAGES.index("filter")]), ([change], STAGES[:3])):
        params = load(str(fake_params), overrides)
        for stage in stages:
            run_stage(stage, Context(params, paths))
    with pytest.raises(
        InputError, match=r"steps was made from an earlier .*traces: run `python -m pipeline segment` again"
    ):
        run_stage("filter", Context(params, paths))
    states = {row[0]: row[1] for row in status_rows(params, paths)}
    assert states["verify"] == "done"
    assert states["segment"].startswith("stale: ")


def test_what_was_made_from_something_older_is_refused(fake_params: Path, tmp_path: Path) -> None:
    params, paths = load(str(fake_params)), Paths(str(tmp_path / "data"))
    for stage in STAGES:
        run_stage(stage, Context(params, paths))
    changed = load(str(fake_params), ["prune.options.first_correct={keep_conclusion: true}"])
    run_stage("prune", Context(changed, paths), "first_correct")
    for stage in ("filter", "report"):
        with pytest.raises(
            InputError,
            match=r"made from an earlier .*pruned.first_correct: run `python -m pipeline recheck --method first_correct`",
        ):
            run_stage(stage, Context(changed, paths, force=True))
    for stage in ("recheck", "filter", "emit", "report"):
        run_stage(stage, Context(changed, paths))
    shutil.rmtree(paths.stage("scores"))  # what is gone is not missed
    run_stage("filter", Context(changed, paths, force=True))


def not_ignoring_interrupts() -> None:
    """As from a terminal; a shell's background job, as tests may be, ignores SIGINT and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_no_traceback(pipeline: Run, fake_params: Path, tmp_path: Path, number: signal.Signals) -> None:
    pipeline("ingest")
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "generate",
        "--params",
        str(fake_params),
        "--data",
        str(tmp_path / "data"),
    ]
    command += ["--set", "models.teacher.delay_seconds=0.5"]
    process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True, preexec_fn=not_ignoring_interrupts)
    while not list((tmp_path / "data").glob("cache/*/*.json")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; run the command again to go on" in said
    assert "Traceback" not in said


def test_no_usable_row_is_an_error(pipeline: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "", "answer": 1}\n')
    done = pipeline("ingest", "--set", f"ingest.sources=[{{kind: jsonl, path: {tmp_path}/a.jsonl}}]")
    assert done.returncode == 1
    assert "no row of the sources is a problem that can be used" in done.stderr


def test_prune_says_which_stage_has_to_run_again_for_another_method(pipeline: Run) -> None:
    few = ("--set", "prune.methods=[keep_all]")
    for stage in ("ingest", "generate", "segment", "score", "annotate"):
        assert pipeline(stage, *few).returncode == 0
    unknown = pipeline("prune", "--method", "asap", *few)
    assert (unknown.returncode, "prune.methods has only keep_all" in unknown.stderr) == (1, True)
    for method, stage in (("asap", "score"), ("drp", "annotate")):
        lacking = pipeline("prune", "--method", method, "--set", "prune.methods=[keep_all, asap, drp]")
        assert lacking.returncode == 1
        assert f"run `python -m pipeline {stage}` again" in lacking.stderr
        assert pipeline(stage, "--set", "prune.methods=[keep_all, asap, drp]").returncode == 0
        assert pipeline("prune", "--method", method, "--set", "prune.methods=[keep_all, asap, drp]").returncode == 0


def test_a_wrong_runner_costs_no_output(fake_params: Path, tmp_path: Path) -> None:
    paths = Paths(str(tmp_path / "data"))
    run_stage("ingest", Context(load(str(fake_params)), paths))
    before = digests(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"runner\.name = 'foo'"):
        run_stage("ingest", Context(load(str(fake_params), ["runner.name=foo", "base.seed=3"]), paths, force=True))
    assert digests(tmp_path / "data") == before


def test_check_names_what_dvc_misses(pipeline: Run, fake_params: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "check"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "params.yaml: complete and right; prune.methods: keep_all, first_correct, asap" in done.stdout
    done = subprocess.run([*command, "--set", "prune.methods=[tail]"], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, "filter.portfolio_without" in done.stderr) == (2, True)
    done = subprocess.run([*command, "--params", str(fake_params)], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is missing; DVC needs it there" in done.stderr


def test_help_names_every_stage() -> None:
    done = subprocess.run([sys.executable, "-m", "pipeline", "--help"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0
    for stage in (
        "models",
        "ingest",
        "generate",
        "verify",
        "segment",
        "score",
        "prune",
        "recheck",
        "filter",
        "emit",
        "report",
        "status",
    ):
        assert stage in done.stdout


def test_a_finished_stage_is_not_run_again_unless_forced_changed_or_damaged(
    fake_params: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ingest(*overrides: str, force: bool = False) -> str:
        context = Context(load(str(fake_params), list(overrides)), Paths(str(tmp_path / "data")), force=force)
        run_stage("ingest", context)
        return capsys.readouterr().err

    assert "45 rows read" in ingest()
    assert "nothing to do" in ingest()
    assert "45 rows read" in ingest(force=True)
    assert "46 rows read" in ingest("ingest.sources.0.size=41")
    assert "45 rows read" in ingest()
    part = tmp_path / "data" / "problems" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert "45 rows read" in ingest()
    assert "nothing to do" in ingest()


@pytest.mark.slow  # processes of its own
def test_a_full_disk_is_said_and_survived(fake_params: Path, tmp_path: Path) -> None:
    """A real file system of 64 KiB, in a namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    ingest = f"{sys.executable} -m pipeline ingest --params {fake_params} --data {disk}/data --set ingest.sources.0.size=2000"
    script = f"mount -t tmpfs -o size=64k tmpfs {disk} && {ingest}; echo code $? && mount -o remount,size=64m {disk} && {ingest}; echo code $?"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], cwd=REPO, capture_output=True, text=True, timeout=100)
    assert done.stdout.split("\n")[:2] == ["code 1", "code 0"], done.stderr
    assert "the disk is full while writing" in done.stderr
    assert "ingest: going on, " in done.stderr
    assert "Traceback" not in done.stderr


def test_status_shows_what_is_done_and_what_not(pipeline: Run, tmp_path: Path) -> None:
    pipeline("ingest")
    done = pipeline("status")
    assert done.returncode == 0
    assert "45 → 45" in done.stdout
    assert "not run" in done.stdout


def test_status_knows_work_that_was_stopped_and_narrow_terminals(
    fake_params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, params = Paths(str(tmp_path / "data")), load(str(fake_params))
    run_stage("ingest", Context(params, paths))
    paths.folder("traces").begin({"stage": "generate"})  # and killed before its first part
    assert {row[0]: row[1] for row in status_rows(params, paths)}["generate"] == "unfinished, 0 parts"
    for columns, is_shown in (("40", False), ("80", True)):
        monkeypatch.setenv("COLUMNS", columns)
        show(params, paths)
        table = capsys.readouterr().out
        assert ("took" in table) == is_shown
        assert all(text in table for text in ("state", "unfinished", "45 →"))
        assert max(map(len, table.splitlines())) <= int(columns)


def test_status_sums_up_verdicts_and_knows_an_old_report(
    fake_params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, params = Paths(str(tmp_path / "data")), load(str(fake_params))
    for stage in STAGES:
        run_stage(stage, Context(params, paths))
    assert re.search(r"verify: .* in \S+verdicts: \d+ correct, \d+ incorrect", capsys.readouterr().err)
    assert {row[0]: row[1] for row in status_rows(params, paths)}["report"] == "done"
    changed = load(str(fake_params), ["filter.method=keep_all"])
    run_stage("filter", Context(changed, paths))
    rows = {row[0]: row[1:] for row in status_rows(changed, paths)}
    assert rows["report"][0] == "stale: kept changed"
    assert re.fullmatch(r"\d+ → \d+\n\d+ correct\n\d+ incorrect", rows["verify"][1])
    with pytest.raises(InputError, match=r"made from an earlier .*kept: run `python -m pipeline emit` again"):
        run_stage("report", Context(changed, paths))
    assert rows["filter"][0] == "done"
    monkeypatch.setenv("COLUMNS", "80")
    show(changed, paths)
    table, _, _ = capsys.readouterr().out.partition("training examples")
    for text in ("recheck first_correct", "stale:", "changed", "not_chosen", "original_fails", "no_final_answer"):
        assert text in table


def test_status_knows_what_was_made_with_other_parameters(fake_params: Path, tmp_path: Path) -> None:
    paths, params = Paths(str(tmp_path / "data")), load(str(fake_params))
    for stage in STAGES:
        run_stage(stage, Context(params, paths))
    assert {row[1] for row in status_rows(params, paths)} == {"done"}
    options = "prune.options.first_correct={solutions: 2}"
    changed = load(
        str(fake_params), [options, "filter.max_per_problem=7", "prune.methods=[keep_all, first_correct, tail]"]
    )
    states = {row[0]: row[1] for row in status_rows(changed, paths)}
    assert states["score"] == "stale: what the methods need changed"
    assert states["prune first_correct"] == "stale: prune.options.first_correct changed"
    assert states["filter"] == "stale: filter changed"
    assert states["emit"] == "stale: prune.methods changed"
    assert states["prune keep_all"] == states["recheck first_correct"] == "done"
    assert states["prune tail"] == "not run"


def test_status_and_a_run_agree_on_changed_code(
    fake_params: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, params = Paths(str(tmp_path / "data")), load(str(fake_params))
    run_stage("ingest", Context(params, paths))
    assert status_rows(params, paths)[0][1] == "done"
    monkeypatch.setattr("pipeline.freshness.code_version", lambda stage, method="": "0.1.0+other")
    assert status_rows(params, paths)[0][1] == "stale: code changed"
    capsys.readouterr()
    run_stage("ingest", Context(params, paths))
    assert "ingest: running again, as code changed" in capsys.readouterr().err
    assert status_rows(params, paths)[0][1] == "done"


def test_what_an_older_version_wrote_is_made_again(
    fake_params: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, params = Paths(str(tmp_path / "data")), load(str(fake_params))
    for stage in ("ingest", "generate", "verify"):
        run_stage(stage, Context(params, paths))
    for name in ("traces", "verdicts"):
        path = Path(paths.stage(name), "manifest.json")
        manifest = json.loads(path.read_text())
        del manifest["format"]
        path.write_text(json.dumps(manifest))
    states = {row[0]: row[1] for row in status_rows(params, paths)}
    assert states["generate"] == states["verify"] == "stale: another version of the package wrote it"
    with pytest.raises(
        InputError, match=r"traces was written by another version .*: run `python -m pipeline generate`"
    ):
        run_stage("verify", Context(params, paths))
    capsys.readouterr()
    for stage in ("generate", "verify"):
        run_stage(stage, Context(params, paths))
    assert "running again, as another version of the package wrote it" in capsys.readouterr().err
    states = {row[0]: row[1] for row in status_rows(params, paths)}
    assert states["generate"] == states["verify"] == "done"


def test_options_go_to_beam(pipeline: Run) -> None:
    done = pipeline("ingest", "--job_name", "mine", "--experiments=x")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2])
def test_two_workers_give_the_same_bytes(pipeline: Run, tmp_path: Path, workers: int) -> None:
    for name, more in (("one", ()), ("two", ("--set", f"runner.workers={workers}"))):
        for stage in ("ingest", "generate"):
            done = pipeline(stage, *more, data=tmp_path / name)
            assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_stage_leaves_nothing_in_the_temporary_folder(
    pipeline: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    for _ in range(2):  # run, and skipped
        assert pipeline("ingest").returncode == 0
    assert not list((tmp_path / "scratch").glob("beam-pipeline*"))


def test_several_methods_may_be_named(pipeline: Run) -> None:
    for stage in STAGES[: STAGES.index("prune")]:
        assert pipeline(stage).returncode == 0
    done = pipeline("prune", "--method", "keep_all", "--method", "first_correct")
    assert done.returncode == 0
    assert "keep_all" in done.stderr
    assert "first_correct" in done.stderr
    wrong = pipeline("prune", "--method", "keep_all", "--method", "x")
    assert (wrong.returncode, "no such method" in wrong.stderr) == (2, True)
