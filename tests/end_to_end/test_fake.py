"""All stages with the fake engine, in one process, in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest

from pipeline.commands.export import export
from pipeline.params import Params, load
from pipeline.paths import Paths
from pipeline.report.page import page
from pipeline.report.samples import Sample
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.builders import problem, rechecked
from tests.conftest import ASKING_METHODS, FAKE_PARAMS, STAGES, digests
from transforms.answers.thinking import Parts, split_thinking
from transforms.core.drops import Drop
from transforms.core.records import Example, Kept, Problem, Rechecked, SegmentedTrace, Trace, TraceScores, problem_of
from transforms.judging import Config, judge_response
from transforms.steps.roles import ROLES
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Paths]:
    folder = tmp_path_factory.mktemp("run")
    (folder / "params.yaml").write_text(FAKE_PARAMS + ASKING_METHODS)
    params, paths = load(str(folder / "params.yaml")), Paths(str(folder / "data"))
    for stage in STAGES:
        run_stage(stage, Context(params, paths))
    return params, paths


def test_a_second_run_in_another_folder_gives_the_same_bytes(run: tuple[Params, Paths], tmp_path: Path) -> None:
    params, paths = run
    for stage in STAGES:
        run_stage(stage, Context(params, Paths(str(tmp_path))))
    first = digests(Path(paths.data))
    assert digests(tmp_path) == first
    assert {name.split("/")[0] for name in first} >= {
        "problems",
        "traces",
        "pruned",
        "rechecked",
        "kept",
        "shards",
        "report",
    }


def test_every_row_is_kept_or_dropped(run: tuple[Params, Paths]) -> None:
    params, paths = run
    folders = [path.parent for path in Path(paths.data).rglob("manifest.json") if path.parent.name != "report"]
    assert len(folders) == 8 + 2 * len(
        params.prune.methods
    )  # ingest to annotate, filter and emit; prune and recheck of each
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text())
        rows = manifest["rows"]
        drops = list(read_rows(Drop, [str(folder / "drops.parquet")]))
        assert rows["outcomes"] == rows["kept"] + sum(rows["dropped"].values())
        assert len(drops) == sum(rows["dropped"].values())
        assert rows["kept"] == sum(
            pq.ParquetFile(folder / part["name"]).metadata.num_rows for part in manifest["parts"]
        )
        assert StageFolder(str(folder)).damage() == []


def test_the_shards_load_and_train_and_validation_share_no_problem(run: tuple[Params, Paths]) -> None:
    _, paths = run
    folder = Path(paths.stage("shards", "messages"))
    files = {split: str(folder / split / "*.parquet") for split in ("train", "validation")}
    for loaded in (datasets.load_dataset("parquet", data_files=files), datasets.load_dataset(str(folder))):
        assert set(loaded) == {"train", "validation"}
        assert len(loaded["train"]) > len(loaded["validation"]) > 0
        assert not set(loaded["train"]["problem_id"]) & set(loaded["validation"]["problem_id"])
        roles = [message["role"] for message in loaded["train"][0]["messages"]]
        assert roles == ["user", "assistant"]
        assert loaded["train"][0]["messages"][1]["content"].startswith("<think>\n")


def test_every_example_is_correct_and_can_be_traced_back(run: tuple[Params, Paths]) -> None:
    _, paths = run
    problems = {p.id: p for p in read_rows(Problem, StageFolder(paths.stage("problems")).part_paths())}
    traces = {t.id: t for t in read_rows(Trace, StageFolder(paths.stage("traces")).part_paths())}
    examples = list(read_rows(Example, StageFolder(paths.stage("shards", "messages")).part_paths()))
    assert len(examples) >= 30
    for example in examples:
        parts = split_thinking(example.messages[1].content)
        assert isinstance(parts, Parts)
        raw = traces[example.id].raw
        assert parts.thinking in raw or example.method not in ("keep_all", "first_correct", "head", "tail")
        assert judge_response(parts.response, problems[example.problem_id], Config())[1].outcome == "correct"


def test_pruning_shortened_something_and_the_portfolio_chose_it(run: tuple[Params, Paths]) -> None:
    params, paths = run
    of_method = {
        method: list(read_rows(Rechecked, paths.folder("rechecked", method).part_paths()))
        for method in params.prune.methods
    }
    assert any(trace.num_tokens_after < trace.num_tokens_before for trace in of_method["first_correct"])
    statuses = {trace.status for traces in of_method.values() for trace in traces}
    assert statuses == {"passed", "mended", "rolled_back", "gave_up", "original_fails"}
    shortest = {trace.id: trace.num_tokens_after for trace in of_method["keep_all"]}
    for trace in (trace for traces in of_method.values() for trace in traces):
        shortest[trace.id] = min(shortest[trace.id], trace.num_tokens_after)
    kept = list(read_rows(Kept, StageFolder(paths.stage("kept")).part_paths()))
    chosen = [next(one for one in of_method[trace.method] if one.id == trace.id) for trace in kept]
    assert all(trace.num_tokens_after <= trace.num_tokens_before for trace in chosen)
    assert all(trace.num_tokens_after == shortest[trace.id] for trace in chosen)
    assert len({trace.method for trace in kept}) > 1
    assert len({problem_of(trace.id) for trace in kept}) == len(kept)
    assert all(1 <= trace.num_correct <= trace.num_samples <= 3 for trace in kept)


def test_the_report(run: tuple[Params, Paths]) -> None:
    params, paths = run
    folder = Path(paths.stage("report"))
    metrics = json.loads((folder / "metrics.json").read_text())
    examples = list(read_rows(Example, StageFolder(paths.stage("shards", "messages")).part_paths()))
    assert (
        metrics["examples"]["total"]
        == len(examples)
        == metrics["examples"]["train"] + metrics["examples"]["validation"]
    )
    assert metrics["thinking_tokens"]["after"] == sum(example.num_thinking_tokens for example in examples)
    assert metrics["methods"]["keep_all"]["kept_share"] == 1.0
    assert 0.5 < metrics["methods"]["first_correct"]["kept_share"] < 1.0
    lines = (folder / "tokens.csv").read_text().splitlines()
    assert lines[0] == "id,method,family,status,tokens_before,tokens_after"
    assert len(lines) == 1 + len(params.prune.methods) * metrics["verdicts"]["correct"]
    assert (
        metrics["opinions"]["steps"]
        == sum(sum(labels.values()) for labels in metrics["opinions"]["labels"].values()) / 2
    )
    assert metrics["opinions"]["degenerate"] == {}
    for method in params.prune.methods:
        numbers = metrics["methods"][method]
        assert sum(numbers["rates"].values()) == pytest.approx(1, abs=2e-4)
        assert set(numbers["families"]) == {"chain_sum"}
    text = (folder / "index.html").read_text()
    assert f"<b>{len(examples)}</b> examples" in text
    assert text.count('<pre class="gone"') >= 1


def test_model_text_is_escaped_on_the_page() -> None:
    hostile = rechecked("a", problem=problem(question="<img src=x>"), response="<script>alert(1)</script>")
    metrics = {
        "examples": {"total": 1, "train": 1, "validation": 0}, "verified_share": 1.0, "traces": 1, "samples": 1, "problems": 1,
        "thinking_tokens": {"kept_share": 1.0, "before": 1, "after": 1}, "methods": {}, "families": {}, "dropped": {}, "chosen_methods": {},
        "difficulty": {}, "asked_examples": None, "teachers": {}, "verdicts_by_reference": {}, "verdicts_by_rule": {}, "undecided_reasons": [],
        "opinions": {},
    }  # fmt: skip
    text = page(
        metrics,
        [Sample(hostile, [{"text": "<b>x</b>", "look": "gone", "rewritten": "<u>", "reason": '"><i>'}])],
    )
    assert "<script>" not in text
    assert "<img" not in text
    assert "<b>x" not in text
    assert '"><i>' not in text


@pytest.mark.parametrize(
    ("stage", "has"),
    [
        ("ingest", {"question"}), ("generate", {"raw"}), ("verify", {"raw", "outcome"}), ("segment", {"steps", "answer"}),
        ("score", {"thinking", "answer_loglik_nats"}), ("annotate", {"thinking", "opinions"}),
        ("prune", {"thinking", "decisions", "proposed"}), ("recheck", {"decisions", "status", "final"}),
        ("filter", {"final", "num_correct", "method"}),
    ],
)  # fmt: skip
def test_the_rows_of_a_stage_can_be_looked_at_with_other_tools(
    run: tuple[Params, Paths], tmp_path: Path, stage: str, has: set[str]
) -> None:
    params, paths = run
    for ending in (".parquet", ".jsonl", ".jsonl.zst"):
        number = export(params, paths, stage, [], str(tmp_path / f"rows{ending}"))
    table = pq.read_table(tmp_path / "rows.parquet")
    assert number == table.num_rows > 0
    assert has <= set(table.column_names)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    if stage == "filter":
        examples = list(read_rows(Example, StageFolder(paths.stage("shards", "messages")).part_paths()))
        said = {example.id: example.messages[1].content for example in examples}
        assert {row["id"]: f"<think>\n{row['final'].strip()}\n</think>\n\n{row['response']}" for row in rows} == said
    if stage == "recheck":
        one = tmp_path / "one.jsonl"
        assert export(params, paths, stage, ["asap"], str(one)) * len(params.prune.methods) == number
        assert {json.loads(line)["method"] for line in one.read_text().splitlines()} == {"asap"}


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["cue", "confidence"])
def test_units_and_likelihoods(run: tuple[Params, Paths], tmp_path: Path, unit: str) -> None:
    """Every unit goes through all stages; with confidence, `segment` and `score` ask for the same numbers once."""
    _, paths = run
    overrides = [f"segment.unit={unit}", "segment.confidence_quantile=0.1", "score.likelihoods=[prefixes, left_out]"]
    params = load(str(Path(paths.data).parent / "params.yaml"), overrides)
    before = list(read_rows(SegmentedTrace, StageFolder(paths.stage("steps")).part_paths()))
    for stage in STAGES:
        run_stage(stage, Context(params, Paths(str(tmp_path))))
    traces = list(read_rows(SegmentedTrace, StageFolder(str(tmp_path / "steps")).part_paths()))
    assert len(traces) == len(before)
    assert [len(trace.steps) for trace in traces] != [len(trace.steps) for trace in before]
    assert all(step.role in ROLES for trace in traces for step in trace.steps)
    scores = {one.id: one for one in read_rows(TraceScores, StageFolder(str(tmp_path / "scores")).part_paths())}
    for trace in traces:
        found = scores[trace.id]
        assert len(found.prefix_answer_logliks_nats) == len(trace.steps) + 1
        assert len(found.left_out_answer_logliks_nats) == len(trace.steps)
    asked = {stage: json.loads((tmp_path / "logs" / f"{stage}.json").read_text()) for stage in ("segment", "score")}
    if unit == "confidence":
        assert asked["segment"]["engine"]["requests"] == len(traces)
        assert asked["segment"]["engine"]["asked"] == len({(trace.prompt, trace.thinking) for trace in traces})
        assert asked["score"]["engine"]["cache_hits"] >= len(traces)
    else:
        assert not asked["segment"]["engine"]


def test_another_threshold_asks_the_scorer_nothing(run: tuple[Params, Paths]) -> None:
    params, paths = run
    again = params.model_copy(update={"prune": params.prune.model_copy(update={"options": {}})})
    for stage in ("prune", "recheck"):
        run_stage(stage, Context(again, paths, force=True))
    asked = json.loads((Path(paths.data) / "logs" / "recheck-keep_all.json").read_text())["engine"]
    assert asked["requests"] == asked["cache_hits"]
