"""Structured output: a completion that was asked to fit a JSON schema does, or it is a Failure.

Engines that can hold a model to a schema do (vLLM, servers with `response_format`); the others get the schema in the
prompt. What comes back is checked here in either case, since neither is a promise: a cut completion is no JSON.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from transforms.core.records import Message
from transforms.inference.requests import Completion, Failure, GenerateRequest, Request, Response

_ASK = "Answer with one JSON value and nothing else. It must fit this JSON schema:\n"


def checked(request: Request, response: Response) -> Response:
    """The response, or a Failure where it should fit a schema and does not."""
    schema = request.schema if isinstance(request, GenerateRequest) else ""
    if not schema or not isinstance(response, Completion):
        return response
    try:
        value = json.loads(response.text)
        json.dumps(value, ensure_ascii=False).encode()  # "\\ud83d" alone is JSON, but no text
        _validator(schema).validate(value)
    except ValidationError as error:
        return Failure("not_json", f"at {error.json_path}: {error.message[:200]}")
    except (ValueError, RecursionError) as error:
        return Failure("not_json", f"{error}; the text begins: {response.text[:120]!r}")
    return response


def in_prompt(request: GenerateRequest) -> GenerateRequest:
    """The request with its schema in words, for what cannot be held to it."""
    *before, last = request.messages
    asked = Message(last.role, f"{last.content}\n\n{_ASK}{request.schema}")
    return replace(request, messages=(*before, asked), schema="")


def without_fence(text: str) -> str:
    """The JSON of a text that has it in a code fence, as models like to."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") : -3].strip()
    return stripped


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    """Raises ValueError if it is no schema."""
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        raise ValueError(f"no JSON schema: {error.message}") from error
    return Draft202012Validator(json.loads(schema))
