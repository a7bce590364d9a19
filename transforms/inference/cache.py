"""A model's answers, kept by the content of the request. One answer is one file.

    data/cache/3f/3f0c….json            {"model": {…}, "request": {…}, "response": {…}, "sha256": "…"}
    data/cache/3f/3f0c….failure.json    {"model": {…}, "request": {…}, "failure": {"kind": "timeout", …}}

The key covers the model's identity and all that the answer depends on, and nothing else: not the order of requests, the
shard, or the stage. A lookup opens one file. An entry is written whole or not at all, and the first one stays, so
several processes, stages and experiments may share a cache, on any filesystem. What failed is on record but is no answer:
it is asked again. What was cut or is empty is kept as what it is. An entry that is damaged is never used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from transforms.core.hashing import canonical_json
from transforms.inference.requests import Completion, Failure, Request, Response, TokenScores
from transforms.storage import files as storage

ANSWER, FAILURE = ".json", ".failure.json"
_KINDS: dict[str, Any] = {"generate": Completion, "score": TokenScores}
_NAME = re.compile(r"[/\\][0-9a-f]{64}(\.failure)?\.json$")  # other files in the folder are not ours
_LOOKUPS = 32  # at a time, where one is a round trip to an object store


class Damaged(NamedTuple):
    """An entry that cannot be trusted, and why."""

    path: str
    reason: str


class Entry(NamedTuple):
    """A kept answer, or the failure of a request."""

    path: str
    model: dict[str, Any]
    request: dict[str, Any]
    response: Response


@dataclass(frozen=True)
class Cache:
    """Answers of the model `identity` (name, revision or checksum, dtype) in `folder`."""

    folder: str
    identity: dict[str, Any]

    def key(self, request: Request) -> str:
        """Hex sha256 of the model's identity and the request."""
        return _key(self.identity, request.content())

    def get(self, request: Request) -> Response | Damaged | None:
        """The kept answer; None if there is none; what is wrong with it if it is damaged."""
        path = self._path(request, ANSWER)
        data = storage.read_if_there(path)
        if data is None:
            return None
        entry = parse(path, data)
        return entry if isinstance(entry, Damaged) else entry.response

    def get_all(self, requests: Sequence[Request]) -> list[Response | Damaged | None]:
        """`get` for each; many at a time on an object store."""
        if storage.is_local(self.folder):
            return [self.get(request) for request in requests]
        with ThreadPoolExecutor(_LOOKUPS) as threads:
            return list(threads.map(self.get, requests))

    def put(self, request: Request, response: Response, replace: bool = False) -> Response:
        """Keeps an answer, or that there was none; returns the answer that is kept.

        That is another one if another process was first, unless it is to be replaced. Raises StorageError.
        """
        about = {"model": self.identity, "request": request.content()}
        if isinstance(response, Failure):
            entry = {**about, "failure": asdict(response)}
            storage.write_bytes(self._path(request, FAILURE), _encoded(entry))
            return response
        value = json.loads(canonical_json(asdict(response)))
        data, path = _encoded({**about, "response": value, "sha256": _digest(value)}), self._path(request, ANSWER)
        if replace:
            storage.write_bytes(path, data)
        elif not storage.write_new(path, data):
            kept = self.get(request)
            if kept is not None and not isinstance(kept, Damaged):
                return kept
            storage.write_bytes(path, data)
        return response

    def _path(self, request: Request, ending: str) -> str:
        return entry_path(self.folder, self.key(request), ending)


def entry_path(folder: str, key: str, ending: str) -> str:
    """Where the entry of a key is."""
    return storage.join(folder, key[:2], f"{key}{ending}")


def entries(folder: str) -> Iterator[Entry | Damaged]:
    """All entries of a cache, of all models. A failure that was answered since is not among them."""
    paths = [path for path in storage.list_files(folder, f"*/*{ANSWER}") if _NAME.search(path)]
    there = set(paths)
    for path in paths:
        if path.endswith(FAILURE) and path.removesuffix(FAILURE) + ANSWER in there:
            continue
        data = storage.read_if_there(path)
        if data is not None:  # deleted meanwhile
            yield parse(path, data)


def parse(path: str, data: bytes) -> Entry | Damaged:
    """The entry in a file: its content must fit its checksum, and its name its content."""
    try:
        entry = json.loads(data)
        model, request = entry["model"], entry["request"]
        name = path.replace("\\", "/").rpartition("/")[2]
        if name.partition(".")[0] != _key(model, request):
            return Damaged(path, "it is not the answer to the request it is named for")
        if name.endswith(FAILURE):
            return Entry(path, model, request, Failure(**entry["failure"]))
        response = entry["response"]
        if entry["sha256"] != _digest(response):
            return Damaged(path, "its checksum differs")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in response.items()}
        kept = _KINDS[request["kind"]](**values)
        if not _is_typed(kept):
            return Damaged(path, "its values have other types")
        return Entry(path, model, request, kept)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Damaged(path, "it is cut, or no entry of this version" if data else "it is empty")


def _is_typed(response: Completion | TokenScores) -> bool:
    if isinstance(response, TokenScores):
        values = (response.starts, response.ends, response.logprobs_nats, response.entropies_nats)
        return (
            all(isinstance(value, tuple) and len(value) == len(response.starts) for value in values)
            and len(response.entropies_upper_nats) in (0, len(response.starts))
            and isinstance(response.num_windows, int)
        )
    texts, counts = (
        (response.text, response.finish_reason, response.reasoning),
        (response.num_prompt_tokens, response.num_tokens),
    )
    return all(isinstance(text, str) for text in texts) and all(
        isinstance(count, int) and 0 <= count < 1 << 40 for count in counts
    )


def _key(identity: dict[str, Any], content: dict[str, Any]) -> str:
    return _digest({"model": identity, "request": content})


def _encoded(entry: dict[str, Any]) -> bytes:
    return canonical_json(entry).encode("utf-8", "surrogatepass")


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()
