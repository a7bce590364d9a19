"""What every engine does, and how the one that a model names is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from transforms.inference.models import Model
from transforms.inference.requests import Response


class Engine(Protocol):
    """A loaded model. `run` yields (position, response) in the order in which they are ready."""

    def run(self, requests: Sequence[Any]) -> Iterator[tuple[int, Response]]:
        """One response for each request; a request that fails is a Failure."""
        ...


def load_engine(model: Model, folder: str) -> Engine:
    """The engine for `model`, whose files are in `folder` (or a hub id). Imports only that engine's library."""
    if model.engine == "vllm":
        from transforms.inference.vllm import VllmEngine

        return VllmEngine(model, folder)
    if model.engine == "transformers":
        from transforms.inference.transformers import TransformersEngine

        return TransformersEngine(model, folder)
    if model.engine == "endpoint":
        from transforms.inference.endpoint import EndpointEngine

        return EndpointEngine(model)
    from transforms.inference.fake import FakeEngine

    return FakeEngine(model)
