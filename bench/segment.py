"""How fast steps are split, and their roles told, on one core: MB/s over all real traces. Prints one JSON line.

Reads traces/ below SHARED_DATA (default ../shared/data). Paragraphs over all of them, the slower units over one in eight.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transforms.steps.roles import roles
from transforms.steps.splitting import split_steps

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def read() -> list[dict[str, Any]]:
    """All traces."""
    rows: list[dict[str, Any]] = []
    for path in sorted((SHARED / "traces").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows += map(json.loads, lines)
    return rows


def speed(rows: list[dict[str, Any]], work: Callable[[dict[str, Any]], Any]) -> float:
    """Megabytes of UTF-8 a second, the best of three runs."""
    size = sum(len(row["response"].encode()) for row in rows)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for row in rows:
            work(row)
        best = min(best, time.perf_counter() - started)
    return round(size / best / 1e6, 2)


def told(row: dict[str, Any]) -> list[str]:
    """The roles of the paragraphs."""
    text = row["response"]
    return roles([step.text(text) for step in split_steps(text)], row["question"], "")


def main() -> None:
    """Prints the line."""
    rows = read()
    few = rows[::8]
    told(rows[0])  # loads spaCy
    print(
        json.dumps(
            {
                "bench": "segment",
                "traces": len(rows),
                "mb_per_second": {
                    "paragraph": speed(rows, lambda row: split_steps(row["response"])),
                    "sentence": speed(few, lambda row: split_steps(row["response"], "sentence")),
                    "cue": speed(few, lambda row: split_steps(row["response"], "cue")),
                    "roles": speed(few, told),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
