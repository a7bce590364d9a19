"""MapShards: every row has its outcomes, errors reach the user, and a killed stage goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from tests.conftest import REPO, collect, digests
from transforms.core import schema
from transforms.core.drops import DropReason, Reason, drop
from transforms.core.errors import InputError, UserError, mark, unmark
from transforms.core.records import Message
from transforms.inference.cache import Cache
from transforms.inference.dialogue import Dialogue, Work
from transforms.inference.models import EndpointModel, FakeModel, Price
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Sampling,
    ScoreRequest,
    TokenScores,
)
from transforms.shards.asking import Asker, EngineHandler, LazyEngine
from transforms.shards.mapping import AttachNotes, Job, MapShards, Shard
from transforms.shards.progress import Progress
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_part


def source(folder: Path, parts: int = 3, rows: int = 4) -> list[Shard]:
    """Parts of messages, as shards."""
    stage = StageFolder(str(folder))
    stage.begin({})
    for number in range(parts):
        stage.write(
            number,
            rows,
            {"": schema.to_table(Message, [Message("user", f"{number}/{row}") for row in range(rows)])},
            [],
        )
    stage.finish({}, parts)
    return [Shard(number, path) for number, path in enumerate(stage.part_paths())]


def read(shard: Shard) -> Iterator[Message]:
    return read_part(Message, shard.source)


def shout(row: Message) -> list[Any]:
    return [drop(row.content, "test", "odd")] if row.content.endswith("1") else [Message(row.role, row.content + "!")]


def test_parts_keep_their_numbers_and_rows_their_order(tmp_path: Path) -> None:
    shards = source(tmp_path / "in")
    out = StageFolder(str(tmp_path / "out"))
    out.begin({})
    receipts = collect(MapShards(Job("test", Message, read, shout), out.path), shards)
    assert [(r.index, r.rows_read, r.rows_kept, len(r.drops)) for r in receipts] == [(n, 4, 3, 1) for n in range(3)]
    assert [row.content for row in read_part(Message, str(tmp_path / "out" / "part-00001.parquet"))] == [
        "1/0!",
        "1/2!",
        "1/3!",
    ]


def test_a_row_without_an_outcome_is_an_error(tmp_path: Path) -> None:
    shards = source(tmp_path / "in")
    with pytest.raises(Exception, match="0 outcomes for a row, not 1"):
        collect(MapShards(Job("test", Message, read, lambda row: []), str(tmp_path / "out")), shards)


@dataclass(frozen=True)
class Named(Message):
    """A message whose content is its id."""

    @property
    def id(self) -> str:
        return self.content


def read_named(shard: Shard) -> Iterator[Named]:
    return (Named(row.role, row.content) for row in read(shard))


@dataclass
class WithNotes(beam.PTransform):
    """Shards → shards with these notes."""

    notes: list[Any]

    def expand(self, shards: Any) -> Any:
        return (shards, shards.pipeline | "Notes" >> beam.Create(self.notes)) | AttachNotes()


def test_notes_end_rows_or_reach_the_job(tmp_path: Path) -> None:
    shards = source(tmp_path / "in", parts=2)
    notes = [
        (0, (1, Reason("twice", "as before"))),
        (1, (0, "seen")),
        (1, (1, "seen")),
        (1, (2, "seen")),
        (1, (3, "seen")),
    ]

    attached = collect(WithNotes(notes), shards)
    assert sorted((shard.number, shard.notes) for shard in attached)[0] == (0, ((1, Reason("twice", "as before")),))

    def keep(row: Message, note: str = "unseen") -> list[Message]:
        return [Message(note, row.content)]

    collect(MapShards(Job("test", Message, read_named, keep), str(tmp_path / "out")), attached)
    rows = [row.role for n in range(2) for row in read_part(Message, str(tmp_path / "out" / f"part-0000{n}.parquet"))]
    assert rows == ["unseen"] * 3 + ["seen"] * 4


def ask(row: Message) -> list[GenerateRequest]:
    return [GenerateRequest((Message("user", f"1 + {row.content[-1]}"),), Sampling(), sample) for sample in range(2)]


def talk(row: Message) -> Dialogue[list[Any]]:
    exchanges = yield ask(row)
    return [
        drop(row.content, "test", r.kind) if isinstance(r, Failure) else Message("assistant", r.text)  # type: ignore[union-attr]
        for _, r in exchanges
    ]


def test_a_model_sees_each_distinct_request_once(tmp_path: Path) -> None:
    shards = source(tmp_path / "in")
    cache = Cache(str(tmp_path / "cache"), {"fake": 1})
    job = Job("test", Message, read, dialogue=talk, num_outcomes=lambda row: 2)
    handler = EngineHandler(job, str(tmp_path / "out"), Asker(FakeModel(engine="fake"), "", cache, "test", 24))
    receipts = collect(MapShards(job, str(tmp_path / "out"), handler), shards)
    assert [r.rows_kept for r in receipts] == [8, 8, 8]
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 8  # 3 parts ask the same 4 × 2


def test_of_an_answer_after_a_long_text_a_few_tokens_are_held_and_kept(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), {"fake": 1})
    asked = ScoreRequest((Message("user", "?"),), "so 2 + 3 is 5. " * 200 + "It is 5.", ((3006, 3007),))
    asker = Asker(FakeModel(engine="fake"), "", cache, "test", 1)
    ((response,),) = asker.ask([[asked]], LazyEngine(asker.model, ""))
    assert isinstance(response, TokenScores)
    assert len(response.starts) < 5
    assert response.starts[0] <= 3006
    assert cache.get(asked) == response


def test_what_the_job_does_itself_is_done_for_all_rows_of_a_round_at_once(tmp_path: Path) -> None:
    rounds: list[list[int]] = []

    def double(items: list[int]) -> list[int]:
        rounds.append(items)
        return [2 * item for item in items]

    def talk(row: Message) -> Dialogue[Message]:
        number = int(row.content[-1])
        (first, said) = yield [Work(number), ask(row)[0]]
        (second,) = yield [Work(first.response)]
        return Message(said.response.text, str(second.response))

    job = Job("test", Message, read, dialogue=talk, work=double)
    asker = Asker(FakeModel(engine="fake"), "", Cache(str(tmp_path / "cache"), {}), "test", 4)
    collect(
        MapShards(job, str(tmp_path / "out"), EngineHandler(job, str(tmp_path / "out"), asker)),
        source(tmp_path / "in", 1),
    )
    rows = list(read_part(Message, str(tmp_path / "out" / "part-00000.parquet")))
    assert [row.content for row in rows] == ["0", "4", "8", "12"]
    assert all(row.role for row in rows)
    assert asker.requests_per_row == 1


def test_notes_end_rows_of_a_job_that_asks_and_a_part_is_read_once(tmp_path: Path) -> None:
    reads: list[int] = []

    def read_noting(shard: Shard) -> Iterator[Named]:
        reads.append(shard.number)
        return read_named(shard)

    job = Job("test", Message, read_noting, dialogue=talk, num_outcomes=lambda row: 2)
    (shard,) = source(tmp_path / "in", 1)
    asker = Asker(FakeModel(engine="fake"), "", Cache(str(tmp_path / "cache"), {}), "test", 4)
    handler = EngineHandler(job, str(tmp_path / "out"), asker)
    noted = shard._replace(notes=((1, Reason(DropReason.INCORRECT, "as before")),))
    (receipt,) = handler.run_inference([noted], handler.load_model())
    assert (receipt.rows_read, receipt.outcomes, [one.id for one in receipt.drops]) == (4, 7, ["0/1"])
    assert reads == [0]


def test_one_failing_request_is_one_drop(tmp_path: Path) -> None:
    shards = source(tmp_path / "in")
    job = Job("test", Message, read, dialogue=talk, num_outcomes=lambda row: 2)
    model = FakeModel(engine="fake", fail_share=0.4)
    asker = Asker(model, "", Cache(str(tmp_path / "cache"), {}), "test", 24)
    handler = EngineHandler(job, str(tmp_path / "out"), asker)
    receipts = collect(MapShards(job, str(tmp_path / "out"), handler), shards)
    dropped = [len(r.drops) for r in receipts]
    assert all(0 < count < 8 for count in dropped)
    entries = [path.name for path in (tmp_path / "cache").rglob("*.json")]
    assert sum(name.endswith(".failure.json") for name in entries) == dropped[0]  # on record, but no answers
    assert len(entries) == 8


PRICED = EndpointModel(
    engine="endpoint", model="m", base_url="http://x", price_per_million_tokens=Price(input=1000, output=2000)
)


def test_progress_says_what_was_done_what_it_cost_and_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = Progress("generate", 20, PRICED)
    bar.cached(5)
    bar.asking()
    bar._started = time.monotonic() - 10
    for _ in range(8):
        bar.answered(Completion("x", "stop", 30, 50))
    bar.answered(Failure("timeout", "no answer"))
    bar.answered(Failure("rate_limited", "429"))
    bar.more(4)
    bar._bar.refresh()
    said = capsys.readouterr().err.split("\r")[-1]
    assert "generate: 15/24 requests" in said
    for part in (
        "5 from the cache",
        "24 tok/s in",
        "40 tok/s out",
        "2 failed (1 rate_limited, 1 timeout)",
        "cost 1.04",
        " left]",
    ):
        assert part in said


def test_where_nobody_watches_short_work_says_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> str:
        bar = Progress("generate", 3, PRICED)
        bar.asking()
        for _ in range(3):
            bar.answered(Completion("x", "stop", 30, 50))
        bar._bar.close()
        return capsys.readouterr().err

    assert work() == ""
    monkeypatch.setattr("transforms.shards.progress.QUIET_SECONDS", 0)
    assert "generate: 3/3 requests" in work()


def test_a_job_that_asks_needs_an_engine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs an engine"):
        collect(MapShards(Job("test", Message, read, dialogue=talk), str(tmp_path)), [])


def test_user_errors_survive_a_traceback() -> None:
    error = InputError("cannot read “x”: try again")
    text = f"Traceback …\nRuntimeError: {mark(error)} [while running 'Map']"
    found = unmark(text)
    assert isinstance(found, InputError)
    assert str(found) == str(error)
    assert unmark("something else") is None
    assert isinstance(unmark(mark(UserError("x"))), UserError)


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(pipeline: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        for stage in ("ingest", "generate", "verify"):
            assert pipeline(stage, data=tmp_path / name).returncode == 0
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) > 10


@pytest.mark.slow
@pytest.mark.parametrize("after_parts", [0, 1, 3])
def test_a_stage_killed_half_way_goes_on_and_ends_with_the_same_bytes(
    pipeline: Callable[..., Any], fake_params: Path, tmp_path: Path, after_parts: int
) -> None:
    slow = ("--set", "models.teacher.delay_seconds=0.02")
    for name in ("whole", "killed"):
        assert pipeline("ingest", data=tmp_path / name).returncode == 0
    assert pipeline("generate", *slow, data=tmp_path / "whole").returncode == 0
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "generate",
        *slow,
        "--params",
        str(fake_params),
        "--data",
        str(tmp_path / "killed"),
    ]
    process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.DEVNULL)
    work = tmp_path / "killed" / "traces" / "_work"
    deadline = time.monotonic() + 60
    while len(list(work.glob("0*.json"))) < after_parts or not work.exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "traces" / "manifest.json").exists()
    again = pipeline("generate", *slow, data=tmp_path / "killed")
    assert again.returncode == 0, again.stderr
    if after_parts:
        assert "going on, " in again.stderr
    assert digests(tmp_path / "whole") == digests(tmp_path / "killed")
