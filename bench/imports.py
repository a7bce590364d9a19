"""Import of 100,000 synthetic traces of 8 KB from a compressed file: rows per second and peak memory of the whole run.

Prints one JSON line: `ingest` (the problems in them) and `generate` (the traces), each in a process of its own.
`python bench/imports.py 10000` for fewer.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRACES_A_PROBLEM = 4
PARAGRAPH = "Let me add the two numbers and look at what comes out: {0} + 30 = {1}, and so on, step {2}.\n\n"


def write(path: Path, count: int) -> int:
    """Writes the file; returns its size unpacked, in bytes."""
    size = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for row in range(count):
            number = row // TRACES_A_PROBLEM
            thinking = "".join(PARAGRAPH.format(number, number + 30, step) for step in range(90))
            text = f"<think>\n{row}: {thinking}</think>\n\nIt is \\boxed{{{number + 30}}}."
            line = json.dumps({"question": f"What is {number} + 30?", "answer": str(number + 30), "response": text})
            size += file.write(line + "\n")
    return size


def run(stage: str, params: Path, data: Path) -> tuple[float, int]:
    """(seconds, peak memory in bytes) of a stage."""
    command = [sys.executable, "-m", "pipeline", stage, "--params", str(params), "--data", str(data)]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=Path(__file__).parent.parent, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{stage} failed"
    return time.perf_counter() - started, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Makes the file, imports it and prints the line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        source, params = Path(folder, "traces.jsonl.gz"), Path(folder, "params.yaml")
        size = write(source, count)
        layout = {
            "kind": "jsonl",
            "path": str(source),
            "fields": {"question": "question", "answer": "answer", "text": "response"},
        }
        generate = {"model": "student", "import": [layout]}
        params.write_text(
            json.dumps(
                {
                    "models": {"student": {"engine": "fake"}},
                    "ingest": {"sources": []},
                    "generate": generate,
                    "score": {"model": "student"},
                    "recheck": {"model": "student"},
                }
            )
        )
        measured = {stage: run(stage, params, Path(folder, "data")) for stage in ("ingest", "generate")}
    line = {"bench": "imports", "rows": count, "mb": round(size / 1e6)}
    for stage, (seconds, peak) in measured.items():
        line |= {f"{stage}_rows_per_s": round(count / seconds), f"{stage}_peak_mb": round(peak / 1e6)}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
