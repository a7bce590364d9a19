"""Good rows become problems; bad ones a counted drop; bad sources a clear error."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import problem
from tests.conftest import FAKE_PARAMS, collect, shared
from transforms import sources
from transforms.core.drops import Drop
from transforms.core.errors import ConfigError, InputError, unmark
from transforms.core.records import CodeTests, Message, Problem
from transforms.ingest import Config, MarkRepeats, pack, read_problems
from transforms.prompts import with_instruction
from transforms.shards.mapping import Job, outcomes
from transforms.sources import Jsonl, Slice
from transforms.storage.parts import read_part

ROWS = [{"question": f"What is {n} + 1?", "answer": n + 1} for n in range(7)]


def jsonl(path: Path, lines: list[Any]) -> Path:
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def compressed(name: str, data: bytes) -> bytes:
    """The data as a file of that name holds it."""
    if name.endswith(".gz"):
        return gzip.compress(data)
    return pa.Codec("zstd").compress(data, asbytes=True) if name.endswith(".zst") else data


def ingest(source: dict[str, Any], shard_rows: int = 3, **config: Any) -> list[Problem | Drop]:
    """All rows of a source, slice by slice; those that overlap a benchmark as the drops they become."""
    settings = Config(sources=[source], **config)  # type: ignore[arg-type]
    slices, _ = sources.plan(settings.sources[0], 17, shard_rows)
    shards = pack(slices, shard_rows)
    if settings.benchmarks:
        try:
            shards = sorted(collect(MarkRepeats(settings), shards))
        except RuntimeError as error:
            raise unmark(str(error)) or error from error
    job = Job("ingest", Problem, partial(read_problems, config=settings), lambda problem: [problem])
    return [row for shard in shards for rows in outcomes(job, shard) for row in rows]


def test_a_question_is_one_turn_and_a_problem_has_the_licence_of_its_source(tmp_path: Path) -> None:
    path = tmp_path / "sums.jsonl"
    jsonl(path, ROWS)
    plain, licensed = (ingest({"kind": "jsonl", "path": str(path)} | more)[0] for more in ({}, {"license": "mit"}))
    generated = ingest({"kind": "reasoning_gym", "dataset": "chain_sum", "size": 1})[0]
    assert isinstance(plain, Problem)
    assert isinstance(licensed, Problem)
    assert isinstance(generated, Problem)
    assert (plain.license, licensed.license, generated.license) == ("", "mit", "apache-2.0")
    assert plain.turns == (Message("user", ROWS[0]["question"]),)
    several = replace(plain, turns=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")))
    assert several.question == "a\n\nc"


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet", "folder"])
def test_every_kind_of_file_gives_the_same_problems(tmp_path: Path, suffix: str) -> None:
    path, kind = tmp_path / f"sums{suffix}", "jsonl"
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        kind = "parquet"
    elif suffix == "folder":
        path, kind = tmp_path / "sums", "huggingface"
        path.mkdir()
        jsonl(path / "train.jsonl", ROWS)
    else:
        path.write_bytes(compressed(path.name, data))
    problems = ingest({"kind": kind, "path": str(path)})
    assert [problem.id for problem in problems] == [f"sums-{n:06d}" for n in range(7)]
    assert [(p.question, p.answer, p.answer_kind) for p in problems if isinstance(p, Problem)] == [
        (row["question"], str(row["answer"]), "math") for row in ROWS
    ]


def test_reasoning_gym_is_seeded_and_independent_of_slices() -> None:
    source = {"kind": "reasoning_gym", "dataset": "chain_sum", "size": 7}
    assert ingest(source, shard_rows=2) == ingest(source, shard_rows=100)
    assert ingest(source)[0].question != ingest({**source, "seed": 1})[0].question  # type: ignore[union-attr]


def test_real_problems() -> None:
    source = {
        "kind": "jsonl",
        "path": str(shared("problems/gsm8k_test.jsonl.gz")),
        "fields": {"answer": "reference_answer"},
    }
    problems = ingest(source, shard_rows=500)
    assert len(problems) == 1319
    assert all(isinstance(problem, Problem) and problem.answer for problem in problems)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"question": "\xff", "answer": 1}', "invalid_utf8"),
        (b'{"question": "half \\ud800", "answer": 1}', "invalid_utf8"),
        (b'{"question": "q", "answer": "\\udc00"}', "invalid_utf8"),
        (b'{"question": "q", ', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'"a string"', "invalid_json"),
        (b'{"question": "q"}', "missing_field"),
        (b'{"question": "q", "answer": null}', "missing_answer"),
        (b'{"question": "q", "answer": "  "}', "missing_answer"),
        (b'{"question": "q", "answer": [[1]]}', "wrong_type"),
        (b'{"question": "q", "answer": []}', "wrong_type"),
        (b'{"question": "q", "answer": [1, null]}', "missing_answer"),
        (b'{"question": "q", "answer": true}', "wrong_type"),
        (b'{"question": "q", "answer": NaN}', "wrong_type"),
        (b'{"question": "q", "answer": 1e400}', "wrong_type"),
        (b'{"question": 5, "answer": 1}', "wrong_type"),
        (b'{"question": " ", "answer": 1}', "empty_question"),
        (b'{"question": null, "answer": 1}', "empty_question"),
        (b'{"question": "' + b"x" * 10_000_000 + b'", "answer": 1}', "too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_row_is_a_drop_with_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    rows = ingest({"kind": "jsonl", "path": str(jsonl(tmp_path / "a.jsonl", [ROWS[0], line, ROWS[1]]))})
    assert [type(row) for row in rows] == [Problem, Drop, Problem]
    assert (rows[1].id, rows[1].reason) == ("a-000001", reason)  # type: ignore[union-attr]
    assert len(rows[1].detail) <= 300  # type: ignore[union-attr]


def test_a_list_of_answers_is_one_and_others_that_are_accepted(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"question": "q", "answer": [0.5, "1/2"]}])
    (row,) = ingest({"kind": "jsonl", "path": str(path)})
    assert isinstance(row, Problem)
    assert (row.answer, row.accepted) == ("0.5", ("1/2",))


def test_problems_without_references(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"question": "q"}])
    (row,) = ingest({"kind": "jsonl", "path": str(path), "fields": {"answer": None}})
    assert isinstance(row, Problem)
    assert row.answer == ""


CHOICE = {"question": "Which?", "choices": ["London", "Paris"]}


@pytest.mark.parametrize("answer", ["B", "(b)", "Paris", 1])
def test_a_choice_has_its_options_and_an_answer_among_them(tmp_path: Path, answer: Any) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{**CHOICE, "answer": answer}])
    (row,) = ingest({"kind": "jsonl", "path": str(path), "answer_kind": "choice", "fields": {"options": "choices"}})
    assert isinstance(row, Problem)
    assert row.options == ("London", "Paris")
    assert row.answer == ("B" if answer == 1 else answer)
    assert with_instruction(row, "Say which.") == "Which?\n\nA. London\nB. Paris\n\nSay which."


def test_a_question_that_lists_its_options_is_left_alone() -> None:
    given_problem = problem("B", "choice", "A) London or B) Paris?", options=("London", "Paris"))
    assert with_instruction(given_problem, "") == "A) London or B) Paris?"


@pytest.mark.parametrize(
    "row",
    [
        {**CHOICE, "answer": "C"},
        {**CHOICE, "answer": 2},
        {**CHOICE, "answer": "Rome"},
        {**CHOICE, "choices": "London, Paris", "answer": "A"},
        {**CHOICE, "choices": ["London"], "answer": "A"},
        {**CHOICE, "choices": ["x"] * 11, "answer": "A"},
        {**CHOICE, "choices": ["x", None], "answer": "A"},
    ],
)
def test_a_choice_that_is_none_is_dropped(tmp_path: Path, row: dict[str, Any]) -> None:
    path = jsonl(tmp_path / "a.jsonl", [row])
    (found,) = ingest({"kind": "jsonl", "path": str(path), "answer_kind": "choice", "fields": {"options": "choices"}})
    assert isinstance(found, Drop)
    assert found.reason == "wrong_type"


CODE = {"kind": "jsonl", "answer_kind": "code", "fields": {"answer": None, "tests": "tests"}}
PAIRS = {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "3\n"]}


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ("def check(f): ...", CodeTests(asserts=("def check(f): ...",))),
        (["assert f(1) == 2"], CodeTests(asserts=("assert f(1) == 2",))),
        (PAIRS, CodeTests(inputs=("1\n", "2\n"), outputs=("2\n", "3\n"))),
        (json.dumps(PAIRS), CodeTests(inputs=("1\n", "2\n"), outputs=("2\n", "3\n"))),
        ([{"input": "1", "output": "2"}], CodeTests(inputs=("1",), outputs=("2",))),
        ([{"input": "1", "output": "2", "testtype": "stdin"}], CodeTests(inputs=("1",), outputs=("2",))),
        ({**PAIRS, "fn_name": None}, CodeTests(inputs=("1\n", "2\n"), outputs=("2\n", "3\n"))),
        ([], None),
        ("", None),
        (None, None),
        (5, None),
        ([1], None),
        ({"inputs": ["1"], "outputs": []}, None),
        ([{"input": "1"}], None),
    ],
)
def test_tests_of_every_shape(tmp_path: Path, tests: Any, expected: CodeTests | None) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"question": "q", "tests": tests}])
    (row,) = ingest({**CODE, "path": str(path)})
    if expected is None:
        assert isinstance(row, Drop)
        assert row.reason == "missing_tests"
    else:
        assert isinstance(row, Problem)
        assert row.tests == expected


@pytest.mark.parametrize(
    "tests",
    [
        [{"input": "[1]", "output": "2", "testtype": "functional"}],
        json.dumps([{"input": "[1]", "output": "2", "testtype": "functional"}]),
        {"inputs": ["1"], "outputs": ["2"], "fn_name": "f"},
    ],
)
def test_pairs_of_a_function_are_no_standard_input(tmp_path: Path, tests: Any) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"question": "q", "tests": tests}])
    (row,) = ingest({**CODE, "path": str(path)})
    assert isinstance(row, Drop)
    assert row.reason == "missing_tests"
    assert "not supported" in row.detail


def test_real_code_problems() -> None:
    fields = {"answer": "canonical_solution", "tests": "tests", "entry_point": "entry_point", "prefix": "question"}
    humaneval = ingest({**CODE, "path": str(shared("problems/humaneval.jsonl.gz")), "fields": fields})
    fields = {"answer": "canonical_solution", "tests": "tests", "setup": "test_setup_code"}
    mbpp = ingest({**CODE, "path": str(shared("problems/mbpp.jsonl.gz")), "fields": fields})
    assert [type(row) for row in humaneval + mbpp] == [Problem] * (164 + 974)
    first = humaneval[0]
    assert isinstance(first, Problem)
    assert (first.tests.entry_point, first.tests.prefix) == ("has_close_elements", first.question)
    assert first.answer.startswith("    for idx")  # not stripped: it goes on where the prompt ends


def test_a_problem_of_a_benchmark_is_dropped_and_says_which(tmp_path: Path) -> None:
    benchmark = shared("problems/gsm8k_test.jsonl.gz")
    with gzip.open(benchmark, "rt") as file:
        question = json.loads(next(file))["question"]
    rows = [
        {"question": f"Solve this. {question.upper()}", "answer": 18},
        {"question": question.replace("16", "17").replace("three", "2"), "answer": 18},
        ROWS[0],
    ]
    path = jsonl(tmp_path / "a.jsonl", rows)
    found = ingest({"kind": "jsonl", "path": str(path)}, benchmarks=[{"kind": "jsonl", "path": str(benchmark)}])
    assert [type(row) for row in found] == [Drop, Problem, Problem]
    assert isinstance(found[0], Drop)
    assert found[0].reason == "benchmark_overlap"
    assert found[0].detail == "100% of the 8-word runs of gsm8k_test-000000, and all its numbers"


def test_generated_problems_are_compared_with_benchmarks_too(tmp_path: Path) -> None:
    source = {"kind": "reasoning_gym", "dataset": "gsm_symbolic", "size": 3, "config": {}}
    rows = ingest(source)
    assert isinstance(rows[1], Problem)
    benchmark = jsonl(tmp_path / "b.jsonl", [{"question": rows[1].question}])
    found = ingest(source, benchmarks=[{"kind": "jsonl", "path": str(benchmark)}])
    assert [type(row) for row in found] == [Problem, Drop, Problem]


@pytest.mark.parametrize(
    ("line", "message"), [({"q": 1}, "no field 'question'"), ({"question": None}, "has no question")]
)
def test_a_benchmark_that_cannot_be_read_is_a_clear_error(tmp_path: Path, line: Any, message: str) -> None:
    benchmark = jsonl(tmp_path / "b.jsonl", [line])
    with pytest.raises(InputError, match=message):
        ingest(
            {"kind": "jsonl", "path": str(jsonl(tmp_path / "a.jsonl", ROWS))},
            benchmarks=[{"kind": "jsonl", "path": str(benchmark)}],
        )


def test_a_line_too_long_to_read_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.jsonl, "MAX_LINE_BYTES", 100)
    lines = [ROWS[0], {"question": "x" * 950, "answer": 1}, ROWS[1], ROWS[2]]
    rows = ingest({"kind": "jsonl", "path": str(jsonl(tmp_path / "a.jsonl", lines))}, shard_rows=2)
    assert [getattr(row, "reason", "") for row in rows] == ["", "too_long", "", ""]


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS[:2])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [type(row) for row in ingest({"kind": "jsonl", "path": str(path)}, shard_rows=1)] == [Problem, Problem]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (2.5, "2.5"),
        (3.0, "3"),
        (1e16, "10000000000000000"),
        (1e-7, "0.0000001"),
        (-0.5, "-0.5"),
        (Decimal("1.50"), "1.5"),
        (True, None),
        ([1], None),
        (float("inf"), None),
    ],
)
def test_numbers_become_plain_text(value: Any, text: str | None) -> None:
    assert sources.as_text(value) == text


def test_parquet_with_text_that_is_no_utf8(tmp_path: Path) -> None:
    table = pa.table({"question": pa.array([b"q1", b"\xff\xfe", None], pa.binary()), "answer": pa.array([1, 2, 3])})
    schema = pa.schema([("question", pa.string()), ("answer", pa.int64())])
    columns = [
        pa.StringArray.from_buffers(
            3, *table["question"].chunk(0).buffers()[1:], table["question"].chunk(0).buffers()[0]
        ),
        table["answer"].chunk(0),
    ]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), tmp_path / "a.parquet")
    rows = ingest({"kind": "parquet", "path": str(tmp_path / "a.parquet")})
    assert [getattr(row, "reason", "") for row in rows] == ["", "invalid_utf8", "empty_question"]


def test_a_parquet_file_with_a_damaged_page_is_a_clear_error(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n} + {n}? " * 20, "answer": n} for n in range(2000)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[100:400] = bytes(300)
    (tmp_path / "a.parquet").write_bytes(bytes(data))
    with pytest.raises(InputError, match="cannot read"):
        ingest({"kind": "parquet", "path": str(tmp_path / "a.parquet")})


def test_the_identity_of_a_folder_is_its_content(tmp_path: Path) -> None:
    identities = []
    for name in ("one", "two"):
        (tmp_path / name / "sums").mkdir(parents=True)
        jsonl(tmp_path / name / "sums" / "train.jsonl", ROWS)
        settings = Config(sources=[{"kind": "huggingface", "path": str(tmp_path / name / "sums")}])  # type: ignore[list-item]
        identities.append(sources.plan(settings.sources[0], 17, 3)[1])
    assert identities[0] == identities[1]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    rows = ingest(
        {"kind": "jsonl", "path": str(jsonl(tmp_path / "a.jsonl", [b"", ROWS[0], b"  ", ROWS[1], b""]))}, shard_rows=1
    )
    assert [row.id for row in rows] == ["a-000000", "a-000001"]


def test_answer_after_and_ids(tmp_path: Path) -> None:
    lines = [
        {"question": "q1", "answer": "so 4\n#### 4", "n": 7},
        {"question": "q2", "answer": "no mark", "n": "x"},
        {"question": "q3", "answer": "#### 1", "n": None},
    ]
    source = {
        "kind": "jsonl",
        "path": str(jsonl(tmp_path / "a.jsonl", lines)),
        "answer_after": "####",
        "fields": {"id": "n"},
    }
    first, second, third = ingest(source)
    assert isinstance(first, Problem)
    assert (first.id, first.answer) == ("7", "4")
    assert (second.reason, third.reason) == ("missing_answer", "missing_field")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"just text\nand more\n", "none of the first 2 lines"),
        ('{"question": "q", "answer": 1}'.encode("utf-16"), "is a JSON object"),
        (
            b'{"prompt": "q", "answer": 1}\n',
            "has no field 'question' (fields.question) in its first 1 rows; its fields: answer, prompt",
        ),
    ],
)
def test_a_bad_source_is_a_clear_error(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        sources.plan(Jsonl(kind="jsonl", path=str(path)), 17, 10)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, name: str) -> None:
    data = "".join(json.dumps(row) + "\n" for row in ROWS * 1000).encode()
    whole = compressed(name, data)
    kind = "parquet" if name.endswith("parquet") else "jsonl"
    for damaged in (whole[: len(whole) // 2], b"not what it says"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match="cannot read"):
            ingest({"kind": kind, "path": str(tmp_path / name)})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"dataset": "chain_sums"}, "did you mean 'chain_sum'?"),
        ({"dataset": "game_of_life_halting"}, "takes any answer for right"),
        ({"dataset": "rush_hour"}, "no reference answers"),
        ({"dataset": "arc_agi"}, "does not take its own answer once stored"),
        ({"dataset": "chain_sum", "config": {"min_digits": 5000, "max_digits": 5001}}, "config = "),
        ({"dataset": "countdown"}, "runs the model's answer as code"),
        (
            {"dataset": "chain_sum", "config": {"min_term": 1}},
            "config.min_term = 1: unknown key; allowed: allow_negation",
        ),
        ({"dataset": "chain_sum", "config": {"min_terms": 0}}, "min_terms must be positive"),
    ],
)
def test_reasoning_gym_configuration_is_checked(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ingest({"kind": "reasoning_gym", "size": 1, **source})
    assert message in str(error.value)


def test_of_repeats_the_first_stays(pipeline: Callable[..., Any], fake_params: Path, tmp_path: Path) -> None:
    first = jsonl(
        tmp_path / "one.jsonl",
        [
            {"id": 1, "question": "a?", "answer": 1},
            {"id": 2, "question": "b?", "answer": 2},
            {"id": 1, "question": "c?", "answer": 3},
        ],
    )
    second = jsonl(
        tmp_path / "two.jsonl",
        [{"id": 3, "question": " A? ", "answer": 1}, {"id": 4, "question": "c?", "answer": 3}, b"{"],
    )
    text = "".join(f"\n    - {{kind: jsonl, path: {path}, fields: {{id: id}}}}" for path in (first, second))
    head, _, tail = FAKE_PARAMS.partition("  sources:")
    fake_params.write_text(
        head.replace("shard_rows: 10", "shard_rows: 2") + "  sources:" + text + "\n" + tail[tail.index("generate:") :]
    )
    done = pipeline("ingest")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data" / "problems"
    problems = [row for number in range(4) for row in read_part(Problem, str(folder / f"part-0000{number}.parquet"))]
    assert [problem.id for problem in problems] == ["1", "2", "4"]
    drops = {(drop.id, drop.reason) for drop in read_part(Drop, str(folder / "drops.parquet"))}
    assert drops == {("1", "duplicate_id"), ("3", "duplicate_question"), ("two-000002", "invalid_json")}
    assert json.loads((folder / "manifest.json").read_text())["rows"]["read"] == 6


@given(st.lists(st.integers(1, 10), max_size=20), st.integers(10, 25))
def test_small_sources_share_a_shard(sizes: list[int], shard_rows: int) -> None:
    slices = [Slice(None, str(number), 0, 0, size, 0) for number, size in enumerate(sizes)]
    shards = pack(slices, shard_rows)
    assert [piece for shard in shards for piece in shard.source] == slices
    assert [shard.number for shard in shards] == list(range(len(shards)))
    rows = [sum(piece.stop for piece in shard.source) for shard in shards]
    assert all(0 < count <= shard_rows for count in rows)
    assert all(one + following.source[0].stop > shard_rows for one, following in zip(rows, shards[1:], strict=False))
