"""The index of four benchmarks, and the training questions of GSM8K looked up in it: time, memory, hits.

Prints one JSON line. Reads problems/*.jsonl.gz below SHARED_DATA, ../shared/data unless set.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import resource
import sys
import time
from pathlib import Path

from transforms.text.overlap import Index

BENCHMARKS = ("gsm8k_test", "math500", "humaneval", "mbpp")
FOLDER = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "problems"


def questions(name: str) -> list[str]:
    """The questions of a file."""
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line)["question"] for line in file]


def main() -> None:
    """Builds the index, looks the questions up, and prints the line."""
    rows = [(name, f"{name}-{row:06d}", text) for name in BENCHMARKS for row, text in enumerate(questions(name))]
    problems = questions("gsm8k_train")
    before = peak_mb()
    started = time.perf_counter()
    index = Index(rows)
    built = time.perf_counter()
    hits = [index.find(problem) for problem in problems]
    found = time.perf_counter()
    line = {
        "bench": "overlap",
        "benchmark_rows": len(rows),
        "different_questions": len(index),
        "index_s": round(built - started, 2),
        "index_pickled_mb": round(len(pickle.dumps(index)) / 1e6, 1),
        "problems": len(problems),
        "problems_per_s": round(len(problems) / (found - built)),
        "hits": sum(hit is not None for hit in hits),
        "peak_mb": round(peak_mb()),
        "peak_mb_before_index": round(before),
    }
    print(json.dumps(line))


def peak_mb() -> float:
    """The most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    main()
