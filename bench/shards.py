"""MapShards over 20,000 traces of 8.5 KB in 40 parts: rows per second and peak memory, beside a bare loop.

Prints one JSON line. The bare loop does the same reading, segmenting and writing without Beam.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from functools import partial

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.core import schema
from transforms.core.records import Problem, SegmentedTrace, Trace, asked
from transforms.segment import Config, segment
from transforms.shards.mapping import Job, MapShards, Shard, map_rows
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_part

PARTS, ROWS = 40, 500
PARAGRAPH = "Let me add the two numbers and look at what comes out: 12 + 30 = 42, and so on.\n\n"


def read(shard: Shard) -> object:
    """The traces of a part."""
    return read_part(Trace, shard.source)


def traces(part: int) -> list[Trace]:
    """Rows of one part; 8.5 KB of thinking each."""
    thinking = PARAGRAPH * (8500 // len(PARAGRAPH))
    made = []
    for row in range(ROWS):
        problem = Problem(f"p-{part}-{row}", "bench", "bench", asked("q"), "42", "math", "")
        made.append(
            Trace(f"{problem.id}/0", problem, 0, "m", "q", "", f"{row} {thinking}", "It is 42.", "stop", 9, 2000)
        )
    return made


def main() -> None:
    """Runs both and prints the line."""
    with tempfile.TemporaryDirectory() as folder:
        source = StageFolder(f"{folder}/in")
        source.begin({})
        for part in range(PARTS):
            source.write(part, ROWS, {"": schema.to_table(Trace, traces(part))}, [])
        source.finish({}, PARTS)
        shards = [Shard(number, path) for number, path in enumerate(source.part_paths())]
        job = Job("segment", SegmentedTrace, read, partial(segment, config=Config(roles=False)))  # type: ignore[arg-type]
        started = time.perf_counter()
        for shard in shards:
            map_rows(job, StageFolder(f"{folder}/bare"), shard)
        bare = time.perf_counter() - started
        started = time.perf_counter()
        with beam.Pipeline(runner=FnApiRunner()) as root:
            root | beam.Create(shards, reshuffle=False) | MapShards(job, f"{folder}/beam")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows = PARTS * ROWS
    line = {
        "bench": "shards",
        "rows": rows,
        "rows_per_s": round(rows / seconds),
        "bare_loop_rows_per_s": round(rows / bare),
        "peak_mb": round(peak / 1e6),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
