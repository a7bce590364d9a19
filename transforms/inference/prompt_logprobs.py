"""Scores from a server: the log-probabilities that vLLM's server gives of a prompt's tokens.

The text is sent as the beginning of the assistant's turn, which the server is to continue, with `prompt_logprobs: k`. For
each token it gives the k most probable ones and the token itself. What is left of the probability is in an unknown tail,
so the entropy is bounded, in nats: from below as if the tail were one token, from above as if it were spread evenly over
all other tokens of the largest vocabulary there is. Tokens are told by their text; those that hold parts of a
character share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from transforms.core.records import Message
from transforms.inference.models import EndpointModel
from transforms.inference.requests import Failure, Response, ScoreRequest, TokenScores, chat

TOP_LOGPROBS = 20  # as many as vLLM's server gives unless it was started with --max-logprobs
MAX_VOCABULARY = 1 << 18  # Gemma's; with a smaller one the upper bound holds all the more
_PART = "\ufffd"  # what a server writes for bytes that are no whole character


def body(request: ScoreRequest, model: EndpointModel) -> dict[str, Any]:
    """What to post to chat/completions."""
    return {
        "model": model.model,
        "messages": chat((*request.messages, Message("assistant", request.text))),
        "add_generation_prompt": False,
        "continue_final_message": True,
        "prompt_logprobs": TOP_LOGPROBS,
        "return_token_ids": True,
        "temperature": 0.0,
        model.max_tokens_key: 1,
    }


def parse(content: Any, request: ScoreRequest) -> Response | None:
    """The scores in a server's answer; None if there are none; a Failure if they are not those of the text."""
    try:
        rows = content["prompt_logprobs"]
        ids = content.get("prompt_token_ids") or [next(iter(row)) if row else None for row in rows]
        own = [None if row is None else row[str(token)] for row, token in zip(rows, ids, strict=True)]
        pieces = ["" if one is None else str(one["decoded_token"]) for one in own]
        found = _aligned(pieces, request.text)
        if found is None:
            return Failure("bad_response", "the server's tokens are not those of the text it was given")
        first, spans = found
        logprobs = tuple(None if one is None else float(one["logprob"]) for one in own[first:])
        bounds = [_entropy_bounds([float(one["logprob"]) for one in row.values()]) for row in rows[first:]]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration):
        return None
    return TokenScores(
        starts=tuple(start for start, _ in spans),
        ends=tuple(end for _, end in spans),
        logprobs_nats=logprobs,
        entropies_nats=tuple(lower for lower, _ in bounds),
        entropies_upper_nats=tuple(upper for _, upper in bounds),
    )


def _entropy_bounds(logprobs: Sequence[float]) -> tuple[float, float]:
    """Bounds of the entropy in nats, from the log-probabilities of some tokens."""
    known = [math.exp(value) for value in logprobs]
    entropy = -math.fsum(share * value for share, value in zip(known, logprobs, strict=True) if share)
    tail = max(1.0 - math.fsum(known), 0.0)
    lower = entropy - (tail * math.log(tail) if tail else 0.0)
    return round(lower, 6), round(lower + tail * math.log(MAX_VOCABULARY - len(known)), 6)


def _aligned(pieces: Sequence[str], text: str) -> tuple[int, list[tuple[int, int]]] | None:
    """(First token of the text, characters of each token from there on); templates may have stripped the text."""
    for wanted in dict.fromkeys((text, text.rstrip(), text.strip())):
        offset = text.index(wanted)
        length = 0
        for first in range(len(pieces) - 1, 0, -1):  # nothing is known of token 0
            length += len(pieces[first])
            if length >= len(wanted) and (spans := _spans(pieces[first:], wanted)) is not None:
                while first > 1 and _is_part(pieces[first - 1]) and (more := _spans(pieces[first - 1 :], wanted)):
                    first, spans = first - 1, more  # the text begins with a character of many parts
                return first, [(offset + start, offset + end) for start, end in spans]
            if length > 4 * len(wanted) + 16:
                break
    return None


def _spans(pieces: Sequence[str], text: str) -> list[tuple[int, int]] | None:
    """The characters of each piece, if together they are the text. Parts of a character all have its place.

    A server writes parts as �, or as nothing and the whole character with the last of them.
    """
    spans: list[tuple[int, int]] = []
    place = 0
    parts: list[str] = []
    for piece in [*pieces, None]:
        if piece is not None and _is_part(piece):
            parts.append(piece)
            continue
        start = _after(parts, text, place, piece)
        if start is None:
            return None
        end = len(text) if piece is None else start + len(piece)
        spans += [(place, start) if any(parts) else (start, end)] * len(parts)
        spans += [] if piece is None else [(start, end)]
        place, parts = end, []
    return spans


def _is_part(piece: str) -> bool:
    return not piece or _PART in piece


def _after(parts: Sequence[str], text: str, place: int, piece: str | None) -> int | None:
    """Where `piece` (None: the end) starts, if between `place` and there is what the parts can be."""
    if not any(parts):
        start = len(text) if piece is None else place
        return start if start == place and text.startswith(piece or "", place) else None
    ascii_only = "".join(parts).encode("ascii", "ignore").decode()
    start = place
    while (start := len(text) if piece is None else text.find(piece, start + 1)) >= 0:
        between = text[place:start].encode("ascii", "ignore").decode()
        if between == ascii_only and len(between) < start - place:
            return start
        if piece is None or len(between) > len(ascii_only):
            return None
    return None
