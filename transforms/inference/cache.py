"""A model's answers, kept by the content of the request. One answer is one file.

    data/cache/3f/3f0c….json   {"request": {…}, "response": {…}, "sha256": "…"}

The key covers the model's identity and all that the answer depends on, and nothing else: not the order
of requests, the shard, or the stage. An entry is written whole or not at all, so several processes may
share a cache; a damaged entry is a miss, and is asked again. Failures are not kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from transforms import storage
from transforms.folders import canonical_json
from transforms.inference.engine import Completion, Request, Response, TokenScores

_KINDS: dict[str, Any] = {"generate": Completion, "score": TokenScores}


@dataclass(frozen=True)
class Cache:
    """Answers of the model `identity` (name, revision or checksum, dtype) in `folder`."""

    folder: str
    identity: dict[str, Any]

    def key(self, request: Request) -> str:
        """Hex sha256 of the model's identity and the request."""
        return _digest({"model": self.identity, "request": request.content()})

    def get(self, request: Request) -> Response | None:
        """The kept answer, or None if there is none or it is damaged."""
        path = self._path(request)
        if not storage.exists(path):
            return None
        try:
            entry = json.loads(storage.read_bytes(path))
            response = entry["response"]
            if entry["sha256"] != _digest(response):
                return None
            return _KINDS[request.content()["kind"]](
                **{k: tuple(v) if isinstance(v, list) else v for k, v in response.items()}
            )
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, request: Request, response: Completion | TokenScores) -> None:
        """Keeps an answer. Raises StorageError."""
        value = json.loads(canonical_json(asdict(response)))
        entry = {"model": self.identity, "request": request.content(), "response": value, "sha256": _digest(value)}
        storage.write_bytes(self._path(request), canonical_json(entry).encode("utf-8", "surrogatepass"))

    def _path(self, request: Request) -> str:
        key = self.key(request)
        return storage.join(self.folder, key[:2], f"{key}.json")


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()
