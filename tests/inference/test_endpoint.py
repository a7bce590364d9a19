"""Servers that throttle, fail, hang, lie and die: what is retried, what is a Failure, what ends the run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import REPO
from transforms.core.errors import ModelError
from transforms.core.records import Message
from transforms.inference.endpoint import EndpointEngine, _retry_after
from transforms.inference.models import EndpointModel, amount
from transforms.inference.requests import Completion, Failure, GenerateRequest, Response, Sampling

KEY = "sk-very-secret-0123456789"
Reply = tuple[int, dict[str, str], Any]


def completion(text: str, **more: Any) -> dict[str, Any]:
    """As a server gives it."""
    message = {"role": "assistant", "content": text} | more
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


class Server:
    """Answers each question by `script`, which sees the request's body and how often it was asked before."""

    def __init__(self, script: Callable[[dict[str, Any], int], Reply]):
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        asked: Counter[str] = Counter()
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                question = body["messages"][-1]["content"]
                with lock:
                    outer.bodies.append(body)
                    outer.headers.append(dict(self.headers))
                    outer.times.append(time.monotonic())
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                    attempt, asked[question] = asked[question], asked[question] + 1
                try:
                    status, headers, content = script(body, attempt)
                    if status == 0:  # hang up
                        self.connection.shutdown(socket.SHUT_RDWR)
                        self.close_connection = True
                        return
                    data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                finally:
                    with lock:
                        outer.at_once -= 1

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]  # who hung up is no news
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict[str, Any], int], Reply]], Server]]:
    """Starts servers, and stops them after the test."""
    servers: list[Server] = []

    def start(script: Callable[[dict[str, Any], int], Reply]) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow one another at once, unless the server says otherwise."""
    monkeypatch.setattr("transforms.inference.endpoint._BACKOFF", lambda state: 0.01)


def model(url: str, **more: Any) -> EndpointModel:
    return EndpointModel(engine="endpoint", model="m", base_url=url, **more)


def requests(count: int = 1, **more: Any) -> list[GenerateRequest]:
    values = {"sampling": Sampling(max_tokens=50), "sample": 0} | more
    return [GenerateRequest((Message("user", f"question {number}"),), **values) for number in range(count)]


def ask(engine: EndpointEngine, asked: list[GenerateRequest]) -> list[Response]:
    """The responses in the order of the requests."""
    found = dict(engine.run(asked))
    return [found[position] for position in range(len(asked))]


def good(body: dict[str, Any], attempt: int) -> Reply:
    return 200, {}, completion(f"answer to {body['messages'][-1]['content']}")


def test_what_is_asked_and_what_comes_back(serve: Any) -> None:
    server = serve(good)
    engine = EndpointEngine(model(server.url, extra_body={"chat_template_kwargs": {"enable_thinking": True}}))
    (found,) = ask(engine, requests())
    assert found == Completion("answer to question 0", "stop", 7, 5)
    assert server.bodies == [
        {
            "model": "m", "messages": [{"role": "user", "content": "question 0"}], "temperature": 0.7, "top_p": 1.0, "max_tokens": 50,
            "chat_template_kwargs": {"enable_thinking": True},
        }
    ]  # fmt: skip
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_beside_the_text_is_kept(serve: Any, name: str) -> None:
    server = serve(lambda body, attempt: (200, {}, completion("5", **{name: "2 + 3 = 5"})))
    assert ask(EndpointEngine(model(server.url)), requests()) == [Completion("5", "stop", 7, 5, None, "2 + 3 = 5")]


def test_log_probabilities_and_schemas_are_asked_for(serve: Any) -> None:
    def script(body: dict[str, Any], attempt: int) -> Reply:
        content = completion('{"a": 1}')
        content["choices"][0]["logprobs"] = {
            "content": [{"token": "{", "logprob": -0.25}, {"token": "}", "logprob": -0.5}]
        }
        return 200, {}, content

    server = serve(script)
    (found,) = ask(
        EndpointEngine(model(server.url, max_tokens_key="max_completion_tokens")),
        requests(sampling=Sampling(logprobs=True), schema='{"type": "object"}'),
    )
    assert isinstance(found, Completion)
    assert found.sum_logprob_nats == pytest.approx(-0.75)
    (body,) = server.bodies
    assert body["logprobs"] is True
    assert body["max_completion_tokens"] == 1024
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_a_begun_answer_is_the_last_message(serve: Any) -> None:
    server = serve(lambda body, attempt: good(body, 0))
    ask(EndpointEngine(model(server.url)), requests(begun="The answer is"))
    (body,) = server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": "The answer is"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_a_server_without_response_format_gets_the_schema_in_the_prompt(serve: Any) -> None:
    def script(body: dict[str, Any], attempt: int) -> Reply:
        if "response_format" in body:
            return 400, {}, {"error": {"message": "unknown field response_format"}}
        return 200, {}, completion('```json\n{"a": 1}\n```')

    server = serve(script)
    found = ask(EndpointEngine(model(server.url, concurrency=1)), requests(2, schema='{"type": "object"}'))
    assert [one.text for one in found if isinstance(one, Completion)] == ['{"a": 1}'] * 2
    assert ["response_format" in body for body in server.bodies] == [True, False, False]
    assert '{"type": "object"}' in server.bodies[1]["messages"][-1]["content"]


PASSING: dict[str, Callable[[int], Reply]] = {
    "throttled": lambda attempt: (429, {"Retry-After": "0"}, {"error": {"message": "slow down"}}),
    "overloaded": lambda attempt: (503, {"retry-after-ms": "1"}, "busy"),
    "broken": lambda attempt: (500, {"Retry-After": "0"}, ""),
    "no JSON": lambda attempt: (200, {"Retry-After": "0"}, "<html>"),
    "no choices": lambda attempt: (200, {}, {"choices": []}),
    "error in a good answer": lambda attempt: (200, {"Retry-After": "0"}, {"error": {"message": "busy", "code": 503}}),
    "hung up": lambda attempt: (0, {}, ""),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_what_may_pass_is_tried_again(serve: Any, trouble: str) -> None:
    server = serve(lambda body, attempt: PASSING[trouble](attempt) if attempt < 2 else good(body, attempt))
    assert ask(EndpointEngine(model(server.url)), requests()) == [Completion("answer to question 0", "stop", 7, 5)]
    assert len(server.bodies) == 3


def test_retry_after_is_obeyed(serve: Any) -> None:
    server = serve(lambda body, attempt: good(body, 0) if attempt else (429, {"Retry-After": "1"}, {}))
    ask(EndpointEngine(model(server.url)), requests())
    assert 1.0 <= server.times[1] - server.times[0] < 3.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"retry-after": "7"}, 7), ({"retry-after-ms": "1500"}, 1.5), ({"retry-after": formatdate(time.time() + 3600, usegmt=True)}, 3600),
     ({"retry-after": formatdate(0, usegmt=True)}, 0), ({"retry-after": "soon"}, None), ({}, None), ({"retry-after": "nan"}, None)],
)  # fmt: skip
def test_the_shapes_of_retry_after(header: dict[str, str], seconds: float | None) -> None:
    found = _retry_after(httpx.Headers(header))
    assert found == (None if seconds is None else pytest.approx(seconds, abs=600 if seconds > 9 else 0.01))


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, {"error": {"message": "This model's maximum context length is 10 tokens"}}, "too_long"),
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, "too_long"),
        (413, {"error": {"type": "exceed_context_size_error", "message": "too big"}}, "too_long"),
        (400, {"error": {"message": "bad role"}}, "bad_request"),
        (422, {"detail": "no such field"}, "bad_request"),
    ],
)
def test_what_is_wrong_with_one_request_is_its_failure(serve: Any, status: int, content: Any, kind: str) -> None:
    server = serve(
        lambda body, attempt: good(body, 0) if "1" in body["messages"][0]["content"] else (status, {}, content)
    )
    wrong, right = ask(EndpointEngine(model(server.url)), requests(2))
    assert isinstance(wrong, Failure)
    assert wrong.kind == kind
    assert str(status) in wrong.message
    assert isinstance(right, Completion)
    assert len(server.bodies) == 2  # not tried again


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}, "refuses the key in TEST_KEY"),
        (403, "forbidden", "refuses the key in TEST_KEY"),
        (404, {"error": {"message": "The model `m` does not exist"}}, "no such model or address"),
        (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, "no credit left"),
        (402, {"error": {"message": "pay"}}, "no credit left"),
    ],
)
def test_what_is_wrong_with_all_requests_ends_the_run_and_never_tells_the_key(
    serve: Any, monkeypatch: pytest.MonkeyPatch, status: int, content: Any, message: str
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    server = serve(lambda body, attempt: (status, {}, content))
    with pytest.raises(ModelError, match=message) as error:
        ask(EndpointEngine(model(server.url, api_key_env="TEST_KEY")), requests(3))
    assert KEY not in str(error.value)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_key_that_is_not_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(ModelError, match="environment variable TEST_KEY"):
        EndpointEngine(model("http://127.0.0.1:9/v1", api_key_env="TEST_KEY"))


@pytest.mark.parametrize("key", ["sk-one two", "sk-…", "sk-a\nX-Header: b"])
def test_what_is_no_key_is_refused_without_telling_it(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(ModelError, match="holds is no key") as error:
        EndpointEngine(model("http://127.0.0.1:9/v1", api_key_env="TEST_KEY"))
    assert "sk-" not in str(error.value)


def test_a_server_that_always_fails_on_a_request_is_its_failure(serve: Any) -> None:
    server = serve(
        lambda body, attempt: good(body, 0) if "1" in body["messages"][0]["content"] else (500, {}, "crashed")
    )
    wrong, right = ask(EndpointEngine(model(server.url)), requests(2))
    assert wrong == Failure("server_error", "500: crashed")
    assert isinstance(right, Completion)
    assert len(server.bodies) == 8 + 1


def test_a_redirect_ends_the_run_and_says_where_to(serve: Any) -> None:
    server = serve(lambda body, attempt: (301, {"Location": "https://elsewhere/v1"}, ""))
    with pytest.raises(ModelError, match="redirects to https://elsewhere/v1: fix base_url"):
        ask(EndpointEngine(model(server.url)), requests(1))


def test_nobody_there_ends_the_run(serve: Any) -> None:
    server = serve(good)
    server.stop()
    with pytest.raises(ModelError, match=r"has not answered for 0\.5 s .* all finished answers are kept"):
        ask(EndpointEngine(model(server.url, unreachable_seconds=0.5)), requests(3))


def test_a_slow_answer_and_the_deadline(serve: Any) -> None:
    def script(body: dict[str, Any], attempt: int) -> Reply:
        if "0" in body["messages"][0]["content"]:
            time.sleep(0.4)
        return good(body, attempt)

    server = serve(script)
    slow, quick = ask(EndpointEngine(model(server.url, timeout_seconds=0.2, deadline_seconds=1.0)), requests(2))
    assert isinstance(slow, Failure)
    assert slow.kind == "timeout"
    assert isinstance(quick, Completion)


def test_no_more_at_a_time_than_said(serve: Any) -> None:
    def script(body: dict[str, Any], attempt: int) -> Reply:
        time.sleep(0.05)
        return good(body, attempt)

    server = serve(script)
    ask(EndpointEngine(model(server.url, concurrency=3)), requests(12))
    assert server.most_at_once == 3


def test_no_more_a_minute_than_said(serve: Any) -> None:
    server = serve(good)
    ask(EndpointEngine(model(server.url, requests_per_minute=600)), requests(8))
    assert server.times[-1] - server.times[0] >= 7 * 0.1 - 0.05  # evenly, with no burst at the start


@pytest.mark.slow  # it waits
def test_no_more_tokens_a_minute_than_said(serve: Any) -> None:
    server = serve(good)
    # 55 tokens are expected of the first answer; later ones count what came, 12 each. 3,000 a minute are 50 a second.
    ask(EndpointEngine(model(server.url, tokens_per_minute=3000, concurrency=1)), requests(40))
    assert server.times[-1] - server.times[0] >= 3.0


def test_answers_come_as_they_are_ready(serve: Any) -> None:
    others_came = threading.Event()

    def script(body: dict[str, Any], attempt: int) -> Reply:
        if "question 0" in body["messages"][0]["content"]:
            others_came.wait(20)
        return good(body, attempt)

    server, order = serve(script), []
    for position, _ in EndpointEngine(model(server.url)).run(requests(3)):
        order.append(position)
        if len(order) == 2:
            others_came.set()
    assert order[-1] == 0


PARAMS = """
base: {{seed: 17, round: 1, folder: data, shard_rows: 500}}
models:
  teacher: {{engine: endpoint, model: m, base_url: "{url}", api_key_env: TEST_KEY, unreachable_seconds: 1, max_model_len: 4096,
            price_per_million_tokens: {{input: 1000, output: 2000}}}}
  student: {{engine: fake}}
ingest: {{sources: [{{kind: reasoning_gym, dataset: chain_sum, size: 30}}]}}
generate: {{model: teacher, samples_per_problem: 2, thinking: field}}
score: {{model: student}}
recheck: {{model: student}}
"""


@pytest.mark.slow  # a process of its own
def test_a_server_that_dies_mid_run_costs_no_answer(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clear words, exit code 1, what came is kept; the rerun asks only for the rest. The key is in no file and no message."""
    answered: list[str] = []

    def script(body: dict[str, Any], attempt: int) -> Reply:
        if len(answered) >= 20:
            threading.Thread(target=dying.stop).start()
            return 0, {}, ""
        answered.append(body["messages"][0]["content"])
        return 200, {}, completion("So \\boxed{5}", reasoning_content=f"Let me see: {KEY[:3]}")

    dying = serve(script)
    (tmp_path / "params.yaml").write_text(PARAMS.format(url=dying.url))

    def command(stage: str) -> list[str]:
        return [sys.executable, "-m", "pipeline", stage, "--params", str(tmp_path / "params.yaml"), "--data", str(tmp_path / "data")]  # fmt: skip

    environment = {**os.environ, "TEST_KEY": KEY}
    monkeypatch.setenv("TEST_KEY", KEY)
    paths = Paths(str(tmp_path / "data"))
    run_stage("ingest", Context(load(str(tmp_path / "params.yaml")), paths))
    process = subprocess.Popen(command("generate"), cwd=REPO, env=environment, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "start it, or fix base_url, and run the command again; all finished answers are kept" in said
    living = serve(lambda body, attempt: (200, {}, completion("So \\boxed{5}", reasoning_content="Let me see")))
    (tmp_path / "params.yaml").write_text(PARAMS.format(url=living.url))  # it moved, too
    run_stage("generate", Context(load(str(tmp_path / "params.yaml")), paths))
    assert len(living.bodies) == 60 - 20
    log = json.loads((tmp_path / "data" / "logs" / "generate.json").read_text())
    assert log["engine"]["cache_hits"] == 20
    assert log["cost"] == pytest.approx(40 * (7 * 1000 + 5 * 2000) / 1e6)
    captured = capsys.readouterr()
    assert f"cost {amount(log['cost'])}" in captured.err
    assert KEY not in said + captured.err + captured.out
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


BROKEN_OFF = {
    "server_error": {"choices": [{"error": {"code": 502, "message": "upstream"}, "message": {"content": ""}}]},
    "server_error too": {"choices": [{"message": {"content": "2 +"}, "finish_reason": "abort"}]},
    "refused": {"choices": [{"message": {"content": "2 +"}, "finish_reason": "content_filter"}]},
}


@pytest.mark.parametrize("kind", BROKEN_OFF)
def test_an_answer_that_the_server_broke_off_is_none(serve: Any, kind: str) -> None:
    (found,) = ask(EndpointEngine(model(serve(lambda body, attempt: (200, {}, BROKEN_OFF[kind])).url)), requests())
    assert isinstance(found, Failure)
    assert found.kind == kind.split()[0]


@pytest.mark.parametrize(
    ("said", "kept"), [("STOP", "stop"), ("end_turn", "stop"), ("MAX_TOKENS", "length"), (None, "stop")]
)
def test_vendors_have_other_words_for_the_end(serve: Any, said: str | None, kept: str) -> None:
    content = completion("5")
    content["choices"][0]["finish_reason"] = said
    (found,) = ask(EndpointEngine(model(serve(lambda body, attempt: (200, {}, content)).url)), requests())
    assert isinstance(found, Completion)
    assert found.finish_reason == kept


def test_parts_and_odd_counts_are_read(serve: Any) -> None:
    content = completion("")
    content["choices"][0]["message"]["content"] = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "2 + 3"}]},
        {"type": "text", "text": "5"},
    ]
    content["usage"] = {"prompt_tokens": -3, "completion_tokens": 10**30}
    (found,) = ask(EndpointEngine(model(serve(lambda body, attempt: (200, {}, content)).url)), requests())
    assert found == Completion("5", "stop", 0, 0, None, "2 + 3")


NOT_OURS: dict[str, Reply] = {
    "gzip": (200, {"Content-Encoding": "gzip"}, "no gzip"),
    "nested": (200, {}, "[" * 100_000),
    "html": (200, {}, "<html>"),
}


@pytest.mark.parametrize("broken", NOT_OURS)
def test_a_server_that_speaks_otherwise_ends_the_run(serve: Any, broken: str) -> None:
    with pytest.raises(ModelError, match="does not answer as OpenAI's chat completions do"):
        ask(EndpointEngine(model(serve(lambda body, attempt: NOT_OURS[broken]).url)), requests(3))


def test_a_request_that_is_always_hung_up_on_costs_only_itself(serve: Any) -> None:
    server = serve(lambda body, attempt: (0, {}, "") if "0" in body["messages"][0]["content"] else good(body, 0))
    wrong, *right = ask(EndpointEngine(model(server.url, unreachable_seconds=0.001)), requests(5))
    assert isinstance(wrong, Failure)
    assert wrong.kind == "connection"
    assert all(isinstance(one, Completion) for one in right)


def test_a_prompt_that_is_flagged_costs_only_itself_once_others_passed(serve: Any) -> None:
    def script(body: dict[str, Any], attempt: int) -> Reply:
        flagged = "3" in body["messages"][0]["content"]
        return (403, {}, {"error": {"message": "flagged"}}) if flagged else good(body, 0)

    found = ask(EndpointEngine(model(serve(script).url, concurrency=1)), requests(5))
    assert [type(one) for one in found] == [Completion, Completion, Completion, Failure, Completion]


def test_a_server_that_refuses_everything_ends_the_run(serve: Any) -> None:
    server = serve(lambda body, attempt: (400, {}, {"error": {"message": "unsupported parameter"}}))
    with pytest.raises(ModelError, match=r"refuses every request \(400: unsupported parameter\)"):
        ask(EndpointEngine(model(server.url, concurrency=4)), requests(100))
    assert len(server.bodies) < 30


def test_a_key_at_the_edge_of_a_message_is_not_told_in_part(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    for text in ("x" * 270 + " key " + KEY, "y" * 190 + KEY):
        server = serve(lambda body, attempt, text=text: (400, {}, {"error": {"message": text}}))
        (found,) = ask(EndpointEngine(model(server.url, api_key_env="TEST_KEY")), requests())
        assert isinstance(found, Failure)
        assert KEY[:6] not in found.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999999/v1", "http://[::1/v1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ModelError, match="is no address"):
        EndpointEngine(model(url))


def test_what_failed_is_asked_again_by_the_next_run(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    sick = [True]

    def script(body: dict[str, Any], attempt: int) -> Reply:
        if sick[0] and len(server.bodies) % 3 == 0:
            return 400, {}, {"error": {"message": "not now"}}
        return 200, {}, completion("So \\boxed{5}", reasoning_content="Let me see")

    server = serve(script)
    (tmp_path / "params.yaml").write_text(
        PARAMS.format(url=server.url).replace("unreachable", "concurrency: 1, unreachable")
    )
    context = Context(load(str(tmp_path / "params.yaml")), Paths(str(tmp_path / "data")))
    run_stage("ingest", context)
    (first,) = run_stage("generate", context)
    assert first["rows"]["dropped"] == {"request_failed": 20}
    sick[0] = False
    (second,) = run_stage("generate", context)
    assert second["rows"]["dropped"] == {}
    assert len(server.bodies) == 60 + 20
    run_stage("generate", context)
    assert len(server.bodies) == 80
