"""Files of traces in place of a teacher: every layout, every real file, nothing lost, samples numbered, problems matched."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from rich.console import Console

from pipeline.commands.show import show
from pipeline.params import load
from pipeline.paths import Paths
from pipeline.report.metrics import measure
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import STAGES, digests, shared
from transforms.core.drops import Drop, Reason
from transforms.core.errors import ConfigError, InputError
from transforms.core.records import Problem, Trace, Verdict
from transforms.sources import LAYOUTS, TraceRow
from transforms.sources.traces import RecordedTrace, TraceJsonl
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

THINK = "<think>\n2 + 3 = 5\n</think>\n\nIt is \\boxed{5}."
THOUGHT = "<|begin_of_thought|>\n\n2 + 3 = 5\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nIt is \\boxed{5}.\n\n<|end_of_solution|>"


def turns(
    text: str, keys: tuple[str, str] = ("from", "value"), roles: tuple[str, str] = ("user", "assistant")
) -> list[Any]:
    return [{keys[0]: roles[0], keys[1]: "2 + 3?"}, {keys[0]: roles[1], keys[1]: text}]


# One row of each layout, in the columns that the data sets' cards and published readers show.
ROWS: dict[str, dict[str, Any]] = {
    "messages": {"messages": turns(THINK, ("role", "content"))},
    "openthoughts": {"system": "Use <|begin_of_thought|> and <|end_of_thought|>.", "conversations": turns(THOUGHT)},
    "openthoughts_metadata": {
        "problem": "2 + 3?", "deepseek_reasoning": "2 + 3 = 5", "deepseek_solution": "It is \\boxed{5}.",
        "ground_truth_solution": "Add: \\boxed{5}", "domain": "math", "source": "s", "test_cases": "", "starter_code": "",
    },
    "openthoughts2": {"conversations": turns(THINK), "source": None},
    "openthoughts3": {"difficulty": 7, "source": "s", "domain": "math", "conversations": turns(THINK, roles=("human", "gpt"))},
    "openr1_math": {
        "problem": "2 + 3?", "solution": "…", "answer": "5", "uuid": "u-1", "is_reasoning_complete": [True, False], "generations": [THINK, "<think>\nhm"],
        "correctness_math_verify": [True, False], "correctness_llama": None, "finish_reasons": ["stop", "length"], "correctness_count": 1,
    },
    "codeforces_cots": {
        "id": "1/A", "prompt": "Print the sum.", "generation": "<think>\nadd\n</think>\n\n```python\nprint(5)\n```", "finish_reason": "stop",
        "api_metadata": {"completion_tokens": 77, "prompt_tokens": 9}, "examples": [{"input": "2 3", "output": "5"}], "title": "A",
    },
    "s1k_1_1": {
        "question": "2 + 3?", "solution": "5", "deepseek_thinking_trajectory": "2 + 3 = 5", "deepseek_attempt": "It is \\boxed{5}.",
        "deepseek_grade": "Yes", "gemini_thinking_trajectory": "other", "gemini_attempt": "6", "gemini_grade": "No",
    },
    "s1k_1_1_gemini": {
        "question": "2 + 3?", "solution": "5", "gemini_thinking_trajectory": "2 + 3 = 5", "gemini_attempt": "It is \\boxed{5}.", "gemini_grade": "No",
    },
    "s1k": {"question": "2 + 3?", "solution": "So \\boxed{5}", "thinking_trajectories": ["2 + 3 = 5"], "attempt": "It is \\boxed{5}.", "cot": None},
    "numina_cot": {"source": "s", "problem": "2 + 3?", "solution": "2 + 3 = 5\n\nIt is \\boxed{5}.", "messages": []},
    "qwq_longcot": {"problem": "2 + 3?", "qwq": "2 + 3 = 5\n\nIt is \\boxed{5}.", "source": "s"},
    "sky_t1": {"system": "…", "conversations": turns(THOUGHT)},
    "bespoke_stratos": {"system": "…", "conversations": turns(THOUGHT)},
    "openmathreasoning": {
        "problem": "2 + 3?", "generated_solution": THINK, "expected_answer": "5", "generation_model": "DeepSeek-R1", "pass_rate_72b_tir": "n/a",
    },
    "am_distilled": {
        "messages": [
            {"role": "user", "content": "2 + 3?", "info": {"reference_answer": "5"}},
            {"role": "assistant", "content": "<think>2 + 3 = 5</think> <answer>It is \\boxed{5}.</answer>", "info": {"think_content": "…"}},
        ]
    },
}  # fmt: skip
NO_REFERENCE = {"messages", "openthoughts", "openthoughts2", "openthoughts3", "codeforces_cots", "qwq_longcot", "sky_t1", "bespoke_stratos"}  # fmt: skip


def run(folder: Path, source: dict[str, Any] | list[dict[str, Any]], *overrides: str, stages: int = 2) -> Paths:
    """Imports, and runs the first `stages` stages; the fake engine scores."""
    sources = source if isinstance(source, list) else [source]
    params = folder / "params.yaml"
    values = {
        "base": {"shard_rows": 10},
        "models": {"student": {"engine": "fake"}},
        "ingest": {"sources": []},
        "generate": {"model": "student", "import": [{"kind": "jsonl", **one} for one in sources]},
        "score": {"model": "student"},
        "recheck": {"model": "student"},
    }
    params.write_text(json.dumps(values))  # JSON is YAML
    paths = Paths(str(folder / "data"))
    for stage in STAGES[:stages]:
        run_stage(stage, Context(load(str(params), list(overrides)), paths))
    return paths


def rows_of(record: Any, paths: Paths, folder: str) -> list[Any]:
    return list(read_rows(record, StageFolder(paths.stage(folder)).part_paths()))


def drops_of(paths: Paths, folder: str) -> list[Drop]:
    return list(read_rows(Drop, [StageFolder(paths.stage(folder)).drops_path()]))


def jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_every_layout_has_an_example() -> None:
    assert set(ROWS) == set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_of_each_layout_becomes_a_trace(tmp_path: Path, layout: str) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [ROWS[layout]])
    vote = ["verify.reference=vote"] if layout in NO_REFERENCE - {"codeforces_cots"} else []
    paths = run(tmp_path, {"path": path, "layout": layout}, *vote)
    traces = rows_of(Trace, paths, "traces")
    (trace,) = traces
    if layout == "codeforces_cots":
        assert (trace.thinking, trace.num_tokens, trace.problem.id) == ("add", 77, "1/A")
        assert trace.problem.tests.inputs == ("2 3",)
        return
    assert (trace.thinking, trace.response) == ("2 + 3 = 5", "It is \\boxed{5}.")
    assert trace.problem.question == "2 + 3?"
    assert trace.problem.answer == ("" if layout in NO_REFERENCE else "5")
    assert trace.recorded == {"openr1_math": "correct", "s1k_1_1": "correct", "s1k_1_1_gemini": "incorrect"}.get(
        layout, ""
    )
    assert [drop.reason for drop in drops_of(paths, "traces")] == (["truncated"] if layout == "openr1_math" else [])


REAL = {
    "gsm8k_deepseek-r1": 582, "gsm8k_s1.1-32b": 582, "gsm8k_r1-distill-qwen-32b": 582, "math_deepseek-r1": 52, "math_s1.1-32b": 52,
    "math_r1-distill-qwen-32b": 52, "mmlu-pro_qwen3-next-80b": 281,
}  # fmt: skip
FIELDS = {
    "question": "question",
    "text": "response",
    "answer": "reference_answer",
    "id": "problem_id",
    "trace": "id",
    "model": "model",
}


def test_all_real_traces_import_with_nothing_unexplained(tmp_path: Path) -> None:
    """2,183 traces of seven files: three teachers on the same questions are three samples of a problem."""
    assert {path.name.removesuffix(".jsonl.gz") for path in shared("traces").glob("*.gz")} == set(REAL)
    sources = [
        {"path": str(shared(f"traces/{name}.jsonl.gz")), "fields": FIELDS}
        | ({"answer_kind": "choice"} if "mmlu" in name else {})
        for name in REAL
    ]
    paths = run(tmp_path, sources, "base.shard_rows=100")
    traces, drops = rows_of(Trace, paths, "traces"), drops_of(paths, "traces")
    problems = rows_of(Problem, paths, "problems")
    assert len(traces) + len(drops) == sum(REAL.values())
    assert len(problems) == 582 + 52 + 191
    assert Counter(drop.reason for drop in drops) == {"no_final_answer": 1}  # its thinking never ended
    assert {trace.problem.id for trace in traces} <= {problem.id for problem in problems}
    samples = Counter(trace.problem.id for trace in traces if trace.problem.answer_kind == "math")
    assert set(samples.values()) == {2, 3}
    assert Counter(trace.model for trace in traces)["s1.1-32B"] in (0, 634)
    assert len({trace.id for trace in traces}) == len(traces)
    by_origin = {trace.origin: trace for trace in traces}
    for name in REAL:
        with gzip.open(shared(f"traces/{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["id"] in by_origin:
                    assert by_origin[row["id"]].raw == row["response"]


@pytest.mark.slow
def test_an_imported_run_goes_to_the_end(tmp_path: Path) -> None:
    source = {"path": str(shared("traces/math_deepseek-r1.jsonl.gz")), "fields": FIELDS}
    paths = run(tmp_path, source, "models.student.max_model_len=60000", stages=len(STAGES))
    metrics = json.loads(Path(paths.stage("report"), "metrics.json").read_text())
    assert metrics["problems"] == metrics["samples"] == 52
    assert metrics["verdicts"]["correct"] >= 45
    assert metrics["examples"]["total"] >= 45


def test_rows_that_give_no_trace_are_no_samples_of_the_report_and_annotate_need_not_run(tmp_path: Path) -> None:
    text = "<think>2 + 3.\n\nThat is 5.</think>\\boxed{5}"
    rows = [
        {"q": "2 + 3?", "a": "5", "t": text},
        {"q": "2 + 4?", "a": "6", "t": text},
        {"q": "2 + 5?", "a": "7", "t": "Hm."},
        {"q": "2 + 6?", "a": "8", "t": None},
        {"q": "", "a": "8", "t": text},
    ]
    source = {"path": jsonl(tmp_path / "a.jsonl", rows), "fields": BASE}
    paths = run(tmp_path, source, "prune.methods=[keep_all, first_correct]", stages=STAGES.index("annotate"))
    params = load(str(tmp_path / "params.yaml"), ["prune.methods=[keep_all, first_correct]"])
    for stage in STAGES[STAGES.index("annotate") + 1 :]:
        run_stage(stage, Context(params, paths))
    metrics = json.loads(Path(paths.stage("report"), "metrics.json").read_text())
    assert metrics["samples"] == sum(family["samples"] for family in metrics["families"].values()) == 3
    assert metrics["verified_share"] == pytest.approx(1 / 3, abs=1e-3)


def test_show_knows_a_trace_by_the_name_that_it_has_in_its_file(tmp_path: Path) -> None:
    text = "<think>2 + 3.\n\nThat is 5.</think>\\boxed{5}"
    rows = [{"question": "2 + 3?", "answer": "5", "response": text, "id": name} for name in ("a", "b", "x", "x")]
    fields = {"question": "question", "answer": "answer", "text": "response", "trace": "id"}
    paths = run(tmp_path, {"path": jsonl(tmp_path / "a.jsonl", rows), "fields": fields}, stages=STAGES.index("recheck"))
    ids: dict[str, list[str]] = {}
    for one in rows_of(Trace, paths, "traces"):
        ids.setdefault(one.origin, []).append(one.id)

    def shown(name: str) -> str:
        console = Console(file=io.StringIO(), width=140)
        show(load(str(tmp_path / "params.yaml"), []), paths, name, "keep_all", console)
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    (b,), (first, second) = ids["b"], ids["x"]
    assert shown("b") == shown(b)
    assert shown("b").startswith(b)
    assert "in its file: b" in shown("b").split("2 + 3?")[0]
    assert shown("x").startswith(first)
    assert f"x in its file is also {second}" in shown("x")
    assert "also" not in shown(second)
    with pytest.raises(InputError, match="has no trace 'c'"):
        shown("c")


BASE = {"question": "q", "answer": "a", "text": "t"}


def test_traces_of_one_problem_are_its_samples_whatever_row_or_part_they_are_in(tmp_path: Path) -> None:
    rows = [{"q": f"{n % 7} + 1?", "a": n % 7 + 1, "t": f"Run {n}.\n\nSo \\boxed{{{n % 7 + 1}}}"} for n in range(30)]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    paths = run(tmp_path, {"path": path, "fields": BASE})
    traces = rows_of(Trace, paths, "traces")
    assert [trace.origin for trace in traces] == [f"rows-{n:06d}" for n in range(30)]
    assert {trace.id for trace in traces} == {f"rows-{p:06d}/{s}" for p in range(7) for s in range(5 if p < 2 else 4)}
    assert all(trace.raw.startswith(f"Run {int(trace.origin[-6:])}.") for trace in traces)
    assert Counter(drop.reason for drop in drops_of(paths, "problems")) == {"same_problem": 23}
    manifest = StageFolder(paths.stage("traces")).finished_manifest()
    assert manifest["rows"] == {"read": 30, "outcomes": 30, "kept": 30, "dropped": {}}


def test_many_traces_in_a_row_are_counted_one_by_one(tmp_path: Path) -> None:
    rows = [
        {"q": "1 + 1?", "a": "2", "t": ["Add.\n\nSo \\boxed{2}", "No answer here", None, "Again.\n\n\\boxed{3}"], "ok": [True, False], "n": [5, 6, 7, 8]},
        {"q": "2 + 1?", "a": "3", "t": []},
        {"q": "1 + 1?", "a": "7", "t": ["Other.\n\nSo \\boxed{2}", "And.\n\nSo \\boxed{2}"]},
        {"q": "1 + 1?", "a": "2", "t": ["Later.\n\nSo \\boxed{2}"]},
    ]  # fmt: skip
    fields = BASE | {"correct": "ok", "num_tokens": "n"}
    rows = [{"ok": None, "n": None} | row for row in rows]
    paths = run(tmp_path, {"path": jsonl(tmp_path / "rows.jsonl", rows), "fields": fields})
    traces = {trace.id: trace for trace in rows_of(Trace, paths, "traces")}
    assert sorted(traces) == ["rows-000000/0", "rows-000000/3", "rows-000000/4"]
    assert [(t.recorded, t.num_tokens, t.origin) for t in traces.values()] == [
        ("correct", 5, "rows-000000:0"), ("", 8, "rows-000000:3"), ("", 0, "rows-000003")
    ]  # fmt: skip
    assert [(drop.id, drop.reason) for drop in drops_of(paths, "traces")] == [
        ("rows-000000/1", "no_final_answer"),
        ("rows-000000/2", "empty_text"),
        ("rows-000001", "missing_field"),
        ("rows-000002:0", "other_reference"),
        ("rows-000002:1", "other_reference"),
    ]
    rows_counted = StageFolder(paths.stage("traces")).finished_manifest()["rows"]
    assert (rows_counted["read"], rows_counted["outcomes"]) == (4, 8)


def test_a_trace_whose_problem_is_a_benchmarks_is_dropped(tmp_path: Path) -> None:
    question = "Janet has sixteen ducks that lay one egg each on every day of the long week, how many is that?"
    rows = [
        {"q": question, "a": "112", "t": "7 times 16.\n\n\\boxed{112}"},
        {"q": "1 + 1?", "a": "2", "t": "Add.\n\n\\boxed{2}"},
    ]
    benchmark = jsonl(tmp_path / "bench.jsonl", [{"question": question}])
    paths = run(
        tmp_path,
        {"path": jsonl(tmp_path / "rows.jsonl", rows), "fields": BASE},
        f"ingest.benchmarks=[{{kind: jsonl, path: {benchmark}}}]",
    )
    assert [drop.reason for drop in drops_of(paths, "problems")] == ["benchmark_overlap"]
    assert [(drop.id, drop.reason) for drop in drops_of(paths, "traces")] == [("rows-000000", "problem_dropped")]
    assert len(rows_of(Trace, paths, "traces")) == 1


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet", "huggingface", "streaming"])
def test_every_kind_of_file_gives_the_same_traces(tmp_path: Path, kind: str) -> None:
    rows = [{"q": f"{n} + 1?", "a": str(n + 1), "t": [f"Run {n}.\n\nSo \\boxed{{{n + 1}}}"] * 2} for n in range(25)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    source: dict[str, Any] = {"name": "rows", "fields": BASE}
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=7)
        source |= {"kind": "parquet", "path": str(tmp_path / "rows.parquet")}
    elif kind in ("huggingface", "streaming"):
        (tmp_path / "rows").mkdir()
        (tmp_path / "rows" / "train.jsonl").write_bytes(data)
        source |= {"kind": "huggingface", "path": str(tmp_path / "rows"), "streaming": kind == "streaming"}
    else:
        path = tmp_path / f"rows.{kind}"
        packed = {"jsonl.gz": gzip.compress, "jsonl.zst": lambda d: pa.Codec("zstd").compress(d, asbytes=True)}
        path.write_bytes(packed.get(kind, bytes)(data))
        source |= {"path": str(path)}
    traces = rows_of(Trace, run(tmp_path, source), "traces")
    assert [(trace.id, trace.raw[:7].strip(".\n")) for trace in traces] == [
        (f"rows-{n:06d}/{s}", f"Run {n}"[:7]) for n in range(25) for s in range(2)
    ]


def test_a_file_that_changed_since_ingest_is_noticed(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"q": "1 + 1?", "a": "2", "t": "Add.\n\n\\boxed{2}"}])
    paths = run(tmp_path, {"path": path, "fields": BASE})
    jsonl(tmp_path / "rows.jsonl", [{"q": "2 + 1?", "a": "3", "t": "Add.\n\n\\boxed{3}"}])
    with pytest.raises(InputError, match=r"generate\.import: rows is not what ingest read"):
        run_stage("generate", Context(load(str(tmp_path / "params.yaml")), paths))


def test_parts_are_the_same_whatever_their_size_and_after_a_stop(tmp_path: Path) -> None:
    rows = [
        {"q": f"{n % 9} + 1?", "a": str(n % 9 + 1), "t": f"Run {n}.\n\nSo \\boxed{{{n % 9 + 1}}}"} for n in range(40)
    ]
    path = jsonl(tmp_path / "rows.jsonl", rows)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = run(tmp_path / "one", {"path": path, "fields": BASE})
    two = run(tmp_path / "two", {"path": path, "fields": BASE}, "base.shard_rows=7")
    assert repr(rows_of(Trace, one, "traces")) == repr(rows_of(Trace, two, "traces"))  # NaN is not equal to itself
    before = digests(tmp_path / "one")
    run(tmp_path / "one", {"path": path, "fields": BASE})
    assert digests(tmp_path / "one") == before


SOURCE = TraceJsonl(kind="jsonl", path="x", fields={"messages": "m"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("turn", "text", "reasoning"),
    [
        ({"role": "assistant", "content": "5", "reasoning_content": "2 + 3"}, "5", "2 + 3"),
        ({"role": "assistant", "content": "5", "reasoning": "2 + 3"}, "5", "2 + 3"),
        ({"role": "assistant", "content": "5", "thinking": "2 + 3"}, "5", "2 + 3"),
        ({"role": "assistant", "content": [{"type": "text", "text": "5"}, {"type": "image"}]}, "5", ""),
        ({"from": "gpt", "value": "5"}, "5", ""),
    ],
)
def test_the_shapes_of_messages(turn: dict[str, Any], text: str, reasoning: str) -> None:
    before = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "first?"},
        {"role": "assistant", "content": "1"},
    ]
    row = SOURCE.row(3, {"m": [*before, {"role": "user", "content": "2 + 3?"}, turn]})
    assert isinstance(row, TraceRow)
    assert row.raw.question == "2 + 3?"
    assert row.traces == (RecordedTrace(text, reasoning, "stop", 0, "unknown", "", "", ""),)


@pytest.mark.parametrize(
    "values", [{"m": None}, {"m": "text"}, {"m": [{"role": "user", "content": "q"}]}, {"m": [7]}, {}]
)
def test_a_row_without_a_trace_says_why(values: dict[str, Any]) -> None:
    assert isinstance(SOURCE.row(3, values), Reason)


def test_a_layout_can_be_changed_in_one_field() -> None:
    source = TraceJsonl(kind="jsonl", path="x", layout="openr1_math", fields={"answer": "gold"}, model="mine")  # type: ignore[arg-type]
    assert (source.fields.answer, source.fields.text, source.model) == ("gold", "generations", "mine")
    with pytest.raises(ValidationError):
        TraceJsonl(kind="jsonl", path="x")  # type: ignore[call-arg]


def test_what_a_user_gets_wrong(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"q": "1 + 1?", "a": "2", "t": "…"}])
    with pytest.raises(InputError, match=r"generate\.import: rows has no field 'txt' \(fields\.text\)"):
        run(tmp_path, {"path": path, "fields": BASE | {"text": "txt"}})
    with pytest.raises(ConfigError, match="has no references"):
        run(tmp_path, {"path": path, "fields": {"question": "q", "text": "t"}})


ROLES = ("question", "thinking", "response", "correct", "num_tokens", "finish_reason", "model")
FULL = TraceJsonl(kind="jsonl", path="x", fields={role: role for role in ROLES})  # type: ignore[arg-type]


def recorded(**values: Any) -> Any:
    row = FULL.row(0, {"question": "q", "thinking": ["a", "b"], "response": ["c", "d"]} | values)
    return row.traces if isinstance(row, TraceRow) else row


def test_what_is_recorded_once_is_said_of_all_traces_of_a_row() -> None:
    one, two = recorded(correct=1.0, num_tokens=7, finish_reason="MAX_TOKENS", model="m")
    assert (one.correct, one.num_tokens, one.finish_reason, one.model) == ("correct", 7, "length", "m")
    assert two == one._replace(text="d", reasoning="b")
    one, two = recorded(
        correct=[False], num_tokens=[10**19, -3], finish_reason=["end_turn", "content_filter"], model="\ud800"
    )
    assert (one.correct, one.num_tokens, one.finish_reason, one.model) == ("incorrect", 0, "stop", "?")
    assert (two.correct, two.num_tokens, two.finish_reason) == ("", 0, "content_filter")
    assert isinstance(recorded(thinking=["a", "b", "c"]), Reason)


def test_messages_may_be_a_json_text_with_odd_parts() -> None:
    text = json.dumps(
        [{"role": "User", "content": "q?"}, {"role": "Assistant", "content": [{"text": 5}, {"text": "so"}]}]
    )
    row = SOURCE.row(0, {"m": text})
    assert isinstance(row, TraceRow)
    assert (row.raw.question, row.traces[0].text) == ("q?", "so")


def test_a_parquet_list_with_a_value_that_is_no_utf8_costs_its_row_only(tmp_path: Path) -> None:
    texts = [f"Run {n}.\n\nSo \\boxed{{2}}".encode() for n in range(3)]
    _, offsets, data = pa.array([texts[0], b"\xff\xfe", texts[2]], pa.binary()).buffers()
    values = pa.ListArray.from_arrays([0, 1, 2, 3], pa.StringArray.from_buffers(3, offsets, data))
    table = pa.table({"q": ["1 + 1?", "1 + 2?", "2 + 0?"], "a": ["2"] * 3, "t": values})
    pq.write_table(table, tmp_path / "rows.parquet")
    paths = run(tmp_path, {"kind": "parquet", "path": str(tmp_path / "rows.parquet"), "fields": BASE})
    assert [trace.problem.id for trace in rows_of(Trace, paths, "traces")] == ["rows-000000", "rows-000002"]
    assert [drop.reason for drop in drops_of(paths, "traces")] == ["invalid_utf8"]


def test_a_limit_takes_the_first_rows_only(tmp_path: Path) -> None:
    rows = [{"q": f"{n} + 1?", "a": str(n + 1), "t": f"x\n\n\\boxed{{{n + 1}}}"} for n in range(30)]
    paths = run(tmp_path, {"path": jsonl(tmp_path / "rows.jsonl", rows), "fields": BASE, "limit": 13})
    assert [trace.origin for trace in rows_of(Trace, paths, "traces")] == [f"rows-{n:06d}" for n in range(13)]


def test_ids_with_slashes_are_no_samples_of_another_problem(tmp_path: Path) -> None:
    rows = [
        {"q": "1 + 1?", "a": "2", "t": "x\n\n\\boxed{2}", "id": "math", "trace": None},
        {"q": "1 + 2?", "a": "3", "t": "x\n\n\\boxed{3}", "id": "math/1", "trace": None},
        {"q": "1 + 3?", "a": "4", "t": [], "id": "math/2", "trace": None},
        {"q": "1 + 1?", "a": "7", "t": "x\n\n\\boxed{7}", "id": "other", "trace": "math/9"},
    ]
    fields = BASE | {"id": "id", "trace": "trace"}
    paths = run(tmp_path, {"path": jsonl(tmp_path / "rows.jsonl", rows), "fields": fields}, stages=len(STAGES))
    params = load(str(tmp_path / "params.yaml"))
    metrics = measure(params, paths, rows_of(Verdict, paths, "verdicts"))
    assert metrics["difficulty"]["(0.75, 1]"]["problems"] == 2
    assert metrics["families"]["rows"]["samples"] == 2
