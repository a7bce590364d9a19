"""Scores from a server's log-probabilities of the prompt: tokens found again in the text, entropies bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.test_endpoint import Reply, Server, serve
from transforms.core.errors import ModelError
from transforms.core.records import Message
from transforms.inference.endpoint import EndpointEngine
from transforms.inference.models import EndpointModel
from transforms.inference.prompt_logprobs import MAX_VOCABULARY, parse
from transforms.inference.requests import Failure, ScoreRequest, TokenScores

__all__ = ["serve"]
Serve = Callable[[Callable[[dict[str, Any], int], Reply]], Server]


def request(text: str) -> ScoreRequest:
    return ScoreRequest((Message("user", "2 + 3?"),), text)


def answer(pieces: list[str], logprob: float = -0.5, others: tuple[float, ...] = (-1.5, -3.0)) -> dict[str, Any]:
    """As vLLM's server gives it: nothing for the first token, then the token itself and the most probable ones."""
    rows: list[Any] = [None]
    for number, piece in enumerate(pieces[1:], 1):
        row = {str(number): {"logprob": logprob, "rank": 1, "decoded_token": piece}}
        row |= {str(900 + n): {"logprob": value, "rank": n + 2, "decoded_token": "?"} for n, value in enumerate(others)}
        rows.append(row)
    return {"choices": [{}], "prompt_logprobs": rows, "prompt_token_ids": list(range(len(pieces)))}


def spans(pieces: list[str], text: str) -> list[str]:
    """What of the text each of its tokens holds."""
    found = parse(answer(["<s>", "user", "2 + 3?", "assistant", "\n", *pieces]), request(text))
    assert isinstance(found, TokenScores), found
    assert len(found.logprobs_nats) == len(found.entropies_nats) == len(found.entropies_upper_nats) == len(found.starts)
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(
    ("pieces", "text", "held"),
    [
        (["It", " is", " 5", "."], "It is 5.", ["It", " is", " 5", "."]),
        (["It", " is", ".\n\n"], "It is.\n\n", ["It", " is", ".\n\n"]),
        (["a", "\ufffd", "\ufffd", "\ufffd", "b"], "a👍b", ["a", "👍", "👍", "👍", "b"]),
        (["a", "\ufffd", "\ufffd"], "aé", ["a", "é", "é"]),
        (["It", " is"], "It is \n\n", ["It", " is"]),  # the template strips
        (["It", " is"], "  It is ", ["It", " is"]),
        (["a", "", "", "👍", "b"], "a👍b", ["a", "👍", "👍", "👍", "b"]),
        (["a", " \ufffd", "\ufffd", " b"], "a 👍 b", ["a", " 👍", " 👍", " b"]),
        (["", "日", "本", " ok"], "日本 ok", ["日", "日", "本", " ok"]),
        (["\ufffd", "\ufffd", "\ufffd", "\ufffd", "a"], "日本a", ["日本"] * 4 + ["a"]),
        (["\n", "a", "\n", "a"], "\na\na", ["\n", "a", "\n", "a"]),
    ],
)
def test_tokens_are_found_in_the_text(pieces: list[str], text: str, held: list[str]) -> None:
    assert spans(pieces, text) == held


@given(st.lists(st.text("ab \n", min_size=1, max_size=3), min_size=1, max_size=8))
def test_any_pieces_are_found(pieces: list[str]) -> None:
    assert "".join(spans(["\x00", *pieces], "\x00" + "".join(pieces))) == "\x00" + "".join(pieces)


def test_other_tokens_than_the_texts_are_a_failure() -> None:
    found = parse(answer(["<s>", "something", "else"]), request("It is 5."))
    assert isinstance(found, Failure)
    assert found.kind == "bad_response"


@pytest.mark.parametrize("content", [{}, {"prompt_logprobs": None}, {"prompt_logprobs": [1]}, {"choices": []}])
def test_an_answer_without_scores(content: Any) -> None:
    assert parse(content, request("x")) is None


@given(st.lists(st.floats(0.001, 1.0), min_size=3, max_size=60), st.integers(1, 20))
def test_the_bounds_hold_the_entropy(weights: list[float], top: int) -> None:
    shares = sorted((weight / sum(weights) for weight in weights), reverse=True)
    exact = -sum(share * math.log(share) for share in shares)
    known = [math.log(share) for share in shares[:top]]
    found = parse(answer(["<s>", "a"], known[0], tuple(known[1:])), request("a"))
    assert isinstance(found, TokenScores)
    (lower,), (upper,) = found.entropies_nats, found.entropies_upper_nats
    assert lower is not None
    assert upper is not None
    assert lower - 1e-5 <= exact <= upper + 1e-5
    if top >= len(shares):
        assert upper == pytest.approx(lower, abs=1e-4)


def test_the_bounds_worked_out() -> None:
    half = math.log(0.5)
    found = parse(answer(["<s>", "a"], half, ()), request("a"))
    assert isinstance(found, TokenScores)
    assert found.entropies_nats == (pytest.approx(math.log(2)),)
    assert found.entropies_upper_nats == (pytest.approx(math.log(2) + 0.5 * math.log(MAX_VOCABULARY - 1)),)


def test_a_server_scores(serve: Serve) -> None:
    server = serve(lambda body, attempt: (200, {}, answer(["<s>", "2", body["messages"][-1]["content"]])))
    engine = EndpointEngine(EndpointModel(engine="endpoint", model="m", base_url=server.url))
    ((_, found),) = engine.run([request("It is 5.")])
    assert isinstance(found, TokenScores)
    assert (found.starts, found.ends, found.logprobs_nats) == ((0,), (8,), (-0.5,))
    (body,) = server.bodies
    assert body["messages"][-1] == {"role": "assistant", "content": "It is 5."}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["prompt_logprobs"], body["max_tokens"]) == (20, 1)


def test_a_server_that_cannot_score_ends_the_run(serve: Serve) -> None:
    server = serve(lambda body, attempt: (200, {}, {"choices": [{"message": {"content": "hi"}}]}))
    engine = EndpointEngine(EndpointModel(engine="endpoint", model="m", base_url=server.url))
    with pytest.raises(
        ModelError, match="gives no log-probabilities of prompts, as vLLM's server does: it cannot score"
    ):
        list(engine.run([request("It is 5.")]))
