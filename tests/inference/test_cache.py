"""The cache: content decides, the first answer stays, failures are no answers, damage is found, nothing is asked twice."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.commands import cache as commands
from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import REPO, digests
from transforms.core.errors import ConfigError
from transforms.core.records import Message
from transforms.inference.cache import Cache, Damaged, Entry, entries
from transforms.inference.requests import Completion, Failure, GenerateRequest, Sampling, ScoreRequest, TokenScores

ANSWER = Completion("text é\u2028", "stop", 3, 4)


def request(question: str = "1 + 1 = ?", **more: Any) -> GenerateRequest:
    return GenerateRequest((Message("user", question),), **({"sampling": Sampling(), "sample": 0} | more))


def test_the_key_is_the_content_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "here"), {"model": "m", "revision": "1"})
    same = Cache(str(tmp_path / "there"), {"revision": "1", "model": "m"})
    assert cache.key(request()) == same.key(request())
    others = [
        request("1 + 2 = ?"),
        request(sample=1),
        request(sampling=Sampling(temperature=0.1)),
        request(sampling=Sampling(max_tokens=5)),
        request(sampling=Sampling(logprobs=True)),
        request(schema='{"type": "object"}'),
        ScoreRequest((Message("user", "1 + 1 = ?"),), "2"),
    ]
    keys = {cache.key(one) for one in [request(), *others]}
    assert len(keys) == len(others) + 1
    assert Cache(str(tmp_path), {"model": "m", "revision": "2"}).key(request()) not in keys


def test_the_spelling_of_a_schema_is_no_content(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), {})
    assert cache.key(request(schema='{"a": 1, "b": 2}')) == cache.key(request(schema='{"b":2,"a":1}'))


@pytest.mark.parametrize(
    "response",
    [
        ANSWER,
        Completion("", "stop", 3, 0),
        Completion("cut", "length", 3, 4, -1.5, "why"),
        TokenScores((0, 2), (2, 3), (-0.5, -1.0), (0.1, 0.2)),
    ],
)
def test_what_is_kept_comes_back(tmp_path: Path, response: Any) -> None:
    cache = Cache(str(tmp_path), {"model": "m"})
    asked = ScoreRequest((), "abc") if isinstance(response, TokenScores) else request()
    assert cache.get(asked) is None
    assert cache.put(asked, response) == response
    assert cache.get(asked) == response
    assert cache.get_all([asked, request("other")]) == [response, None]


def test_a_failure_is_on_record_but_no_answer(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), {"model": "m"})
    failure = Failure("timeout", "no answer within 600 s")
    cache.put(request(), failure)
    assert cache.get(request()) is None
    (entry,) = entries(str(tmp_path))
    assert isinstance(entry, Entry)
    assert entry.response == failure
    cache.put(request(), ANSWER)
    cache.put(request(), failure)  # of another process, later
    assert cache.get(request()) == ANSWER
    assert [one.response for one in entries(str(tmp_path)) if isinstance(one, Entry)] == [ANSWER]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other JSON", "another's"])
def test_a_damaged_entry_is_found_and_can_be_replaced(tmp_path: Path, damage: str) -> None:
    cache = Cache(str(tmp_path), {"model": "m"})
    cache.put(request(), ANSWER)
    (path,) = tmp_path.rglob("*.json")
    whole = path.read_text()
    if damage == "another's":
        other = Cache(str(tmp_path / "other"), {"model": "m"})
        other.put(request("1 + 2 = ?"), ANSWER)
        whole = next((tmp_path / "other").rglob("*.json")).read_text()
    changed = whole.replace('"num_tokens":4', '"num_tokens":5')
    path.write_text(
        {"cut": whole[: len(whole) // 2], "changed": changed, "empty": "", "other JSON": "[]"}.get(damage, whole)
    )
    assert isinstance(cache.get(request()), Damaged)
    cache.put(request(), ANSWER, replace=True)
    assert cache.get(request()) == ANSWER


def _put(folder: str, number: int) -> Any:
    return Cache(folder, {"model": "m"}).put(request(), Completion(f"answer {number}", "stop", 1, 1))


def test_the_first_of_several_processes_wins_and_all_use_its_answer(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as processes:
        kept = set(processes.map(_put, [str(tmp_path)] * 40, range(40)))
    assert kept == {Cache(str(tmp_path), {"model": "m"}).get(request())}
    assert [path.name for path in tmp_path.rglob(".writing-*")] == []


@pytest.fixture
def filled(tmp_path: Path) -> Paths:
    """A cache with two models, a cut, an empty, a failed and a damaged entry."""
    paths = Paths(str(tmp_path / "data"))
    one, two = Cache(paths.cache, {"model": "one"}), Cache(paths.cache, {"endpoint": "two", "revision": None})
    one.put(request("a"), ANSWER)
    one.put(request("b"), Completion("cut", "length", 3, 8))
    one.put(request("c"), Completion(" ", "stop", 3, 1))
    one.put(request("d"), Failure("rate_limited", "429"))
    one.put(ScoreRequest((), "abc"), TokenScores((0,), (3,), (-0.5,), (0.1,)))
    two.put(request("a"), ANSWER)
    two.put(request("e"), ANSWER)
    Path(two._path(request("e"), ".json")).write_text("{")
    return paths


def test_stats_counts_by_model(filled: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    counts, damaged = commands.stats(filled)
    one = counts["one"]
    assert (one.completions, one.scores, one.cut, one.empty) == (3, 1, 1, 1)
    assert (one.prompt_tokens, one.tokens, dict(one.failures)) == (9, 14, {"rate_limited": 1})
    assert (counts["two"].completions, len(damaged)) == (1, 1)
    commands.show(filled)
    shown = capsys.readouterr().out
    assert "1 rate_limited" in shown
    assert "5 answers" in shown
    assert "1 damaged" in shown


def test_verify_names_what_is_damaged(filled: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    (damaged,) = commands.verify(filled)
    said = capsys.readouterr().out
    assert f"{damaged.path}: it is cut" in said
    assert "7 entries, 1 damaged" in said


def test_prune_deletes_what_meets_all_conditions_and_only_when_told(filled: Paths) -> None:
    before = digests(Path(filled.data), but=())
    assert commands.prune(filled, "", ["failed", "damaged"], None, delete=False) == 2
    assert commands.prune(filled, "", ["cut"], 1.0, delete=True) == 0  # none is a day old
    assert digests(Path(filled.data), but=()) == before
    assert commands.prune(filled, "", ["failed", "damaged"], None, delete=True) == 2
    assert commands.prune(filled, "one", ["cut", "empty"], None, delete=True) == 2
    assert len(list(entries(filled.cache))) == 3
    assert commands.prune(filled, "two", [], 0.0, delete=True) == 1


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.jsonl.zst"])
def test_export_writes_every_answer(filled: Paths, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    assert commands.export(filled, str(target), "one") == 4
    if name.endswith(".zst"):
        import pyarrow as pa

        data = pa.CompressedInputStream(str(target), "zstd").read()
    else:
        data = gzip.decompress(target.read_bytes()) if name.endswith(".gz") else target.read_bytes()
    rows = [json.loads(line) for line in data.splitlines()]
    assert {row["model"]["model"] for row in rows} == {"one"}
    assert {"text": ANSWER.text} in [{"text": row["response"].get("text")} for row in rows]
    with pytest.raises(ConfigError, match="exists"):
        commands.export(filled, str(target), "")


def test_the_commands_of_the_cache(
    filled: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["pipeline", "cache", *arguments, "--data", filled.data])
        code = main()
        captured = capsys.readouterr()
        return code, captured.err if code == 2 else captured.out

    assert run("verify")[0] == 1
    assert "say what to delete" in run("prune")[1]
    assert "no such kind; allowed: damaged, failed, cut, empty" in run("prune", "--kind", "bad")[1]
    assert run("prune", "--kind", "damaged", "--yes") == (0, "1 entries deleted\n")
    assert run("verify")[0] == 0
    assert len(run("export", "-")[1].splitlines()) == 5


def test_a_run_reports_damage_and_asks_only_that_again(
    fake_params: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, log = Paths(str(tmp_path / "data")), tmp_path / "asked"
    context = Context(load(str(fake_params), [f"models.teacher.log={log}"]), paths)
    for stage in ("ingest", "generate"):
        run_stage(stage, context)
    before, asked = digests(tmp_path / "data"), len(log.read_text().splitlines())
    broken = sorted((tmp_path / "data" / "cache").rglob("*.json"))[3]
    broken.write_bytes(broken.read_bytes()[:-9])
    run_stage("generate", Context(context.params, paths, force=True))
    assert f"{broken} in the cache is damaged" in capsys.readouterr().err
    assert len(log.read_text().splitlines()) == asked + 1
    assert digests(tmp_path / "data") == before


BATCH = 4


@pytest.mark.slow
def test_twenty_kills_lose_at_most_the_batch_in_flight_each(fake_params: Path, tmp_path: Path) -> None:
    """Every answer that was finished is asked for once, whenever the process is killed, and the output is the same."""
    log, data = tmp_path / "asked", tmp_path / "killed"
    settings = [f"models.teacher.log={log}", f"models.teacher.batch={BATCH}", "models.teacher.delay_seconds=0.08"]
    undisturbed = Paths(str(tmp_path / "undisturbed"))
    for stage in ("ingest", "generate"):
        run_stage(stage, Context(load(str(fake_params), settings), undisturbed))
    log.unlink()
    run_stage("ingest", Context(load(str(fake_params)), Paths(str(data))))
    command = [sys.executable, "-m", "pipeline", "generate", "--params", str(fake_params), "--data", str(data)]
    command += [part for setting in settings for part in ("--set", setting)]
    chance, finished, kills = random.Random(5), set(), 0
    cache = Cache(str(data / "cache"), {"fake": {"accuracy": 0.8}})
    while kills < 20:
        asked_before = log.read_text().count("\n") if log.exists() else 0
        process = subprocess.Popen(command, cwd=REPO, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while (log.read_text().count("\n") if log.exists() else 0) <= asked_before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        asked = [json.loads(line) for line in log.read_text().splitlines()]
        again = [one for one in asked[asked_before:] if json.dumps(one, sort_keys=True) in finished]
        assert again == [], "what was finished before a kill was asked again"
        finished = {
            json.dumps(entry.request, sort_keys=True) for entry in entries(cache.folder) if isinstance(entry, Entry)
        }
        assert len(asked) <= len(finished) + (kills + 1) * BATCH
    assert kills == 20, "the run ended before it was killed often enough"
    assert subprocess.run(command, cwd=REPO, capture_output=True, timeout=100).returncode == 0
    asked = [json.dumps(json.loads(line), sort_keys=True) for line in log.read_text().splitlines()]
    assert len(set(asked)) == 135
    assert len(asked) <= 135 + 20 * BATCH
    assert digests(data, but=("cache", "logs", "problems")) == {
        name: value for name, value in digests(Path(undisturbed.data)).items() if name.startswith("traces/")
    }
    assert not [name for name in os.listdir(data / "traces") if name.startswith("_")]


def test_neither_order_nor_shards_nor_files_nor_other_parameters_ask_again(fake_params: Path, tmp_path: Path) -> None:
    log, paths = tmp_path / "asked", Paths(str(tmp_path / "data"))
    teacher = f"models.teacher={{engine: fake, log: {log}}}"
    first, second = load(str(fake_params)).model_dump(mode="json")["ingest"]["sources"]
    changes = [
        [],
        ["base.shard_rows=7"],
        [f"ingest.sources=[{json.dumps(second)}, {json.dumps(first | {'name': 'other'})}]"],
        ["verify.deadline_seconds=3.0", "generate.drop_loops=false", "models.teacher.batch=3"],
    ]
    for change in changes:
        for stage in ("ingest", "generate"):
            run_stage(stage, Context(load(str(fake_params), [teacher, *change]), paths))
    assert log.read_text().count("\n") == 135
