"""What a stage says while it runs, and the log of its last run."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
from typing import Any

from pipeline.paths import Paths
from transforms.core.hashing import canonical_json
from transforms.storage import files


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def log(paths: Paths, stage: str, method: str, started: float, more: dict[str, Any]) -> float:
    """Writes what differs from run to run; returns the seconds since `started`."""
    seconds = time.monotonic() - started
    engine = more.get("engine")
    if engine is not None:
        more = {**more, "engine": dict(sorted(engine.items()))}
    entry = {
        "stage": stage, "method": method, "seconds": round(seconds, 2), "finished_unix": round(time.time()),
        "host": platform.node(), "platform": platform.platform(), "python": platform.python_version(), **more,
    }  # fmt: skip
    with contextlib.suppress(ValueError):
        files.write_bytes(paths.log(stage, method), (canonical_json(entry) + "\n").encode())
    return seconds
