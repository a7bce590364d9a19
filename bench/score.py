"""Scoring 40 real traces: ASAP's published procedure, plain forward passes with full logits, and ours.

    python bench/score.py data/models/qwen2.5-coder-0.5b-instruct

Each trace is scored in all ways before the next one, in turns, so that all see the same machine. Prints one JSON line:
tokens/s of each, the ratios that matter, and for a text of 8,192 tokens the peak memory above the loaded weights, each
in a process of its own.

- published: as ASAP's code does it (arXiv 2508.05988): one pass with all logits, and for the first token of each
  paragraph the text before it tokenized again.
- full_logits: one pass with all logits, nothing else; full_log_softmax: and their log_softmax in float32, which
  surprisals need.
- first_tokens, all_tokens: the engine transformers with `score.tokens: first` and `all` (exact entropies).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from transforms.inference.models import TransformersModel
from transforms.inference.requests import TokenScores, turn
from transforms.inference.transformers import TransformersEngine
from transforms.steps.scores import first_visible
from transforms.steps.splitting import split_steps

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
QUESTION = "Solve the problem, and put the final answer within \\boxed{}.\n\n"


def read(count: int) -> list[tuple[str, str]]:
    """(Question, thinking) of real traces."""
    with gzip.open(SHARED / "traces" / "gsm8k_deepseek-r1.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, count)]
    return [(QUESTION + row["question"], row["response"].split("</think>")[0]) for row in rows]


def logits_of(engine: Any, prompt: str, text: str) -> tuple[list[int], Any]:
    """All tokens, and logits [tokens, vocabulary] of a plain pass."""
    ids = engine._prompt_ids(turn(prompt, text).messages)
    ids += engine._tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        return ids, engine._model(torch.tensor([ids])).logits[0]


def published(engine: Any, prompt: str, text: str) -> None:
    """First-token surprisals as published."""
    ids, logits = logits_of(engine, prompt, text)
    head = len(engine._prompt_ids(turn(prompt, text).messages))
    for first in published_places(engine, text):
        place = min(head + first, len(ids) - 1)
        _ = -logits[place - 1].float().log_softmax(-1)[ids[place]].item()


def published_places(engine: Any, text: str) -> list[int]:
    """Where the published code looks for the first token of each step but the first: after as many tokens as the text
    before has by itself, and one for a BOS."""
    starts = [step.start for step in split_steps(text)[1:]]
    return [len(engine._tokenizer(text[:start], add_special_tokens=False)["input_ids"]) + 1 for start in starts]


def places(engine: Any, text: str) -> list[int]:
    """Where they are."""
    found = engine._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    starts, ends = zip(*found["offset_mapping"], strict=True)
    held = TokenScores(starts, ends, (), ()).held
    visible = [first_visible(text, step) for step in split_steps(text)[1:]]
    return [held(place, place + 1)[0] for place in visible]


def full_logits(engine: Any, prompt: str, text: str) -> None:
    """A plain pass."""
    logits_of(engine, prompt, text)


def full_log_softmax(engine: Any, prompt: str, text: str) -> None:
    """A plain pass and the log-probabilities of all tokens of the vocabulary."""
    _, logits = logits_of(engine, prompt, text)
    logits.float().log_softmax(-1)


def ours(engine: Any, prompt: str, text: str, spans: Any = None) -> None:
    """Through the engine."""
    ((_, found),) = engine.run([replace(turn(prompt, text), spans=spans)])
    assert isinstance(found, TokenScores)


def first_tokens(engine: Any, prompt: str, text: str) -> None:
    """Only the first token of each step."""
    visible = [first_visible(text, step) for step in split_steps(text)]
    ours(engine, prompt, text, tuple((place, place + 1) for place in visible))


WAYS: dict[str, Callable[[Any, str, str], None]] = {
    "published": published,
    "full_logits": full_logits,
    "full_log_softmax": full_log_softmax,
    "first_tokens": first_tokens,
    "all_tokens": ours,
}


def load(folder: str) -> Any:
    """The engine, in bf16."""
    return TransformersEngine(TransformersModel(engine="transformers", model=folder, max_model_len=32_768), folder)


def peak(folder: str, way: str, num_tokens: int) -> float:
    """Peak memory above the loaded weights in MiB, of a text of `num_tokens`. For a process of its own."""
    engine = load(folder)
    text = "\n\n".join(text for _, text in read(12))
    ids = engine._tokenizer(text, add_special_tokens=False)["input_ids"][:num_tokens]
    text = engine._tokenizer.decode(ids)
    full_logits(engine, "Warm up.", "2 + 3 = 5.")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    loaded = _status("VmRSS")
    WAYS[way](engine, "2 + 3?", text)
    return _status("VmHWM") - loaded


def _status(name: str) -> float:
    """A line of Linux's account of this process, in MiB."""
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) / 1024


def main() -> None:
    """Prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", nargs="?", default="data/models/qwen2.5-coder-0.5b-instruct", help="a folder of transformers"
    )
    parser.add_argument("--traces", type=int, default=40)
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS), help="only these, without the peak memory"
    )
    parser.add_argument("--peak", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    if given.peak:
        print(peak(given.model, given.peak, 8192))
        return
    engine, traces, whole = load(given.model), read(given.traces), len(given.ways) == len(WAYS)
    looked_at = [
        pair for _, text in traces for pair in zip(published_places(engine, text), places(engine, text), strict=True)
    ]
    num_tokens = sum(len(engine._tokenizer(text, add_special_tokens=False)["input_ids"]) for _, text in traces)
    speeds = {name: round(num_tokens / spent, 1) for name, spent in seconds_of(engine, traces, given.ways).items()}
    mebibytes = peaks(given.model) if whole else {}
    print(
        json.dumps(
            {
                "bench": "score",
                "traces": len(traces),
                "tokens": num_tokens,
                "steps": len(looked_at),
                "steps_whose_first_token_the_published_code_misses": sum(one != other for one, other in looked_at),
                "tokens_per_second": speeds,
                "peak_mib_above_weights_at_8192_tokens": mebibytes,
                **ratios(speeds, mebibytes),
            }
        )
    )


def seconds_of(engine: Any, traces: list[tuple[str, str]], names: list[str]) -> dict[str, float]:
    """What each way takes for all traces: each trace in all ways before the next one, in turns."""
    seconds = dict.fromkeys(names, 0.0)
    full_logits(engine, *traces[0])
    for number, (prompt, text) in enumerate(traces):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            WAYS[name](engine, prompt, text)
            seconds[name] += time.perf_counter() - started
    return seconds


def peaks(folder: str) -> dict[str, int]:
    """Peak memory above the weights in MiB, each in a process of its own."""
    command = [sys.executable, __file__, folder, "--peak"]
    return {
        name: round(float(subprocess.run([*command, name], capture_output=True, text=True, check=True).stdout))
        for name in ("full_logits", "full_log_softmax", "first_tokens", "all_tokens")
    }


def ratios(speeds: dict[str, float], mebibytes: dict[str, int]) -> dict[str, float]:
    """Those that matter, of what was measured."""
    pairs = (("first_tokens", "published"), ("all_tokens", "full_logits"), ("all_tokens", "full_log_softmax"))
    found = {
        f"{one}_to_{other}": round(speeds[one] / speeds[other], 3)
        for one, other in pairs
        if one in speeds and other in speeds
    }
    if mebibytes:
        found["peak_of_all_tokens_to_full_logits"] = round(mebibytes["all_tokens"] / mebibytes["full_logits"], 3)
    return found


if __name__ == "__main__":
    main()
