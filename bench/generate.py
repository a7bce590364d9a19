"""Generation through the pipeline's own asker (cache and progress included) beside vLLM's own `LLM.chat`, on the same requests.

Prints one JSON line. One loaded model for both, greedy, so that both make the same tokens; in the order ours, chat, chat, ours.
`python bench/generate.py FOLDER [REQUESTS]`: FOLDER is a model's; without it, data/models/qwen2.5-coder-0.5b-instruct,
which `python -m pipeline models` makes for the default profile.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transforms.core.records import Message
from transforms.inference.cache import Cache
from transforms.inference.models import VllmModel
from transforms.inference.requests import Completion, GenerateRequest, Sampling
from transforms.shards.asking import Asker, LazyEngine

MAX_TOKENS = 96


def questions(count: int) -> list[str]:
    """Prompts of different lengths."""
    return [
        f"A farmer has {n + 3} sheep" + f" and buys {n % 7 + 2} more" * (n % 5 + 1) + ". How many does he have?"
        for n in range(count)
    ]


def ours(model: VllmModel, engine: LazyEngine, asked: list[GenerateRequest]) -> tuple[int, float]:
    """(tokens, seconds) of the handler with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        asker = Asker(model, "", Cache(folder, {}), "bench", len(asked))
        started = time.perf_counter()
        answers = asker.ask([[request] for request in asked], engine)
        seconds = time.perf_counter() - started
    responses = [response for row in answers for response in row]
    assert all(isinstance(response, Completion) for response in responses)
    return sum(response.num_tokens for response in responses), seconds  # type: ignore[union-attr]


def chat(llm: Any, asked: list[GenerateRequest]) -> tuple[int, float]:
    """(tokens, seconds) of `LLM.chat`."""
    from vllm import SamplingParams

    conversations = [[{"role": "user", "content": request.messages[0].content}] for request in asked]
    params = SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS)
    started = time.perf_counter()
    outputs = llm.chat(conversations, params, use_tqdm=False)
    seconds = time.perf_counter() - started
    return sum(len(output.outputs[0].token_ids) for output in outputs), seconds


def main() -> None:
    """Runs both and prints the line."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "data/models/qwen2.5-coder-0.5b-instruct"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 96
    if not Path(folder).is_dir():
        sys.exit(f"{folder} is not there: name a model's folder")
    model = VllmModel(engine="vllm", model=folder, max_model_len=1024, kv_cache_gib=2)
    engine = LazyEngine(model, folder)
    llm = engine.get()._llm  # type: ignore[attr-defined]
    asked = [
        GenerateRequest((Message("user", text),), Sampling(temperature=0.0, max_tokens=MAX_TOKENS), 0)
        for text in questions(count)
    ]
    chat(llm, asked[:8])  # warm
    speeds: dict[str, list[float]] = {"ours": [], "chat": []}
    for name in ("ours", "chat", "chat", "ours"):
        tokens, seconds = ours(model, engine, asked) if name == "ours" else chat(llm, asked)
        speeds[name].append(tokens / seconds)
    means = {name: statistics.mean(values) for name, values in speeds.items()}
    line = {
        "bench": "generate",
        "requests": count,
        "tokens": tokens,
        "ours_tok_per_s": round(means["ours"], 1),
        "chat_tok_per_s": round(means["chat"], 1),
        "ratio": round(means["ours"] / means["chat"], 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
