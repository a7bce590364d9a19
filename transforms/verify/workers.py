"""Judges answers in a child process with a deadline for each, so that one that hangs or crashes costs only itself.

The pool is pebble's: it kills a worker at the deadline and starts another.
"""

from __future__ import annotations

import atexit
import multiprocessing
from concurrent.futures import TimeoutError as Deadline
from functools import cache

from pebble import ProcessExpired, ProcessPool

from transforms.types import Outcome, Problem
from transforms.verify.judge import Judgement, judge, warm_up


def judge_within(answer: str, problem: Problem, deadline_seconds: float) -> Judgement:
    """`judge` in a worker; undecided where it needs longer (twice), crashes, or raises."""
    for _ in range(2):  # a busy machine may miss a deadline once
        judgement = _judge_once(answer, problem, deadline_seconds)
        if judgement.rule != "deadline":
            break
    return judgement


def _judge_once(answer: str, problem: Problem, deadline_seconds: float) -> Judgement:
    future = _pool().schedule(judge, args=(answer, problem), timeout=deadline_seconds)
    try:
        return future.result()
    except Deadline:
        return Judgement(Outcome.UNDECIDED, "deadline", f"no verdict within {deadline_seconds:g} s, twice")
    except ProcessExpired as error:
        return Judgement(Outcome.UNDECIDED, "crash", f"the worker died: {error}")
    except Exception as error:  # whatever sympy or a scorer raises over model text is a reason, not a verdict
        return Judgement(Outcome.UNDECIDED, "error", f"{type(error).__name__}: {error}")


@cache
def _pool() -> ProcessPool:
    pool = ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn"), initializer=warm_up)
    atexit.register(_close, pool)
    return pool


def _close(pool: ProcessPool) -> None:
    pool.stop()
    pool.join(timeout=5)
