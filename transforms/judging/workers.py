"""Judges answers in child processes with a deadline for each, so that one that hangs or crashes costs only itself.

As many at a time as there are cores. The pool is pebble's: it kills a worker at the deadline and starts another.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as Deadline
from functools import cache
from typing import Any

from pebble import ProcessExpired, ProcessPool

from transforms.core.errors import UserError
from transforms.core.records import Outcome, Problem
from transforms.judging.judge import DEFAULT_LIMITS, judge, warm_up
from transforms.judging.judgement import Judgement
from transforms.sandbox.bubblewrap import Limits, wall_seconds

_AHEAD = 64  # answers given to the pool before the first of them is waited for


def judge_all(asked: Iterable[tuple[str, Problem]], deadline_seconds: float, limits: Limits) -> Iterator[Judgement]:
    """The judgement of each (answer, problem), in order, several at a time; `asked` is read only a little ahead.

    Undecided where one needs longer than the deadline, crashes, or raises.

    Raises:
        SandboxError: an answer is code, and there is no sandbox.
    """
    running: deque[Any] = deque()
    for answer, problem in asked:
        running.append(_schedule(answer, problem, deadline_seconds, limits))
        if len(running) > _AHEAD:
            yield _result(running.popleft(), deadline_seconds)
    while running:
        yield _result(running.popleft(), deadline_seconds)


def judge_within(answer: str, problem: Problem, deadline_seconds: float, limits: Limits = DEFAULT_LIMITS) -> Judgement:
    """`judge_all` for one."""
    return next(judge_all([(answer, problem)], deadline_seconds, limits))


def _schedule(answer: str, problem: Problem, deadline_seconds: float, limits: Limits) -> Any:
    # Programs have limits of their own; this deadline is for a sandbox that does not come back.
    deadline = wall_seconds(problem.tests, limits) + 10 if problem.answer_kind == "code" else deadline_seconds
    return _pool().schedule(judge, args=(answer, problem, limits), timeout=deadline)


def _result(future: Any, deadline_seconds: float) -> Judgement:
    try:
        return future.result()
    except Deadline:
        return Judgement(Outcome.UNDECIDED, "deadline", f"no verdict within {deadline_seconds:g} s")
    except ProcessExpired as error:
        return Judgement(Outcome.UNDECIDED, "crash", f"the worker died: {error}")
    except UserError:
        raise
    except Exception as error:  # whatever sympy or a scorer raises over model text is a reason, not a verdict
        return Judgement(Outcome.UNDECIDED, "error", f"{type(error).__name__}: {error}")


@cache
def _pool() -> ProcessPool:
    pool = ProcessPool(
        max_workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        context=multiprocessing.get_context("spawn"),
        initializer=warm_up,
    )
    atexit.register(_close, pool)
    return pool


def _close(pool: ProcessPool) -> None:
    pool.stop()
    pool.join(timeout=5)
