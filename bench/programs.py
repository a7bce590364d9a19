"""Judges HumanEval's and MBPP's own solutions, and the same with empty bodies, under the sandbox.

Reads problems/{humaneval,mbpp}.jsonl.gz of the folder SHARED_DATA. Of MBPP those count whose solution passes its tests
in a plain process. Prints one JSON line: how many of each are correct (all, and none), the ids of the others, and the
speed. `--every 8` takes each eighth problem.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from transforms.core.records import CodeTests, Outcome
from transforms.judging.programs import judge_code
from transforms.sandbox.bubblewrap import Limits

SHARED_DATA = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
WORKERS = 2
SECONDS_PLAIN = 20
Row = dict[str, Any]


class Program(NamedTuple):
    """A program to be judged; `empty` is the same without bodies."""

    id: str
    code: str
    empty: str
    tests: CodeTests


def rows(name: str, every: int = 1) -> list[Row]:
    """The problems of a benchmark."""
    with gzip.open(SHARED_DATA / "problems" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][::every]


def humaneval(row: Row) -> Program:
    """The solution is the rest of the function that the question begins."""
    tests = CodeTests(prefix=row["question"], entry_point=row["entry_point"], asserts=(row["tests"],))
    return Program(row["id"], row["canonical_solution"], "    pass\n", tests)


def mbpp(row: Row, tests: str = "tests") -> Program:
    """`tests` or `challenge_tests`."""
    code = row["canonical_solution"]
    return Program(row["id"], code, emptied(code), CodeTests(setup=row["test_setup_code"], asserts=tuple(row[tests])))


def emptied(code: str) -> str:
    """The code with `pass` as the body of each of its functions."""
    tree = ast.parse(code)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def passes_plainly(program: Program) -> bool:
    """Whether the data set's own code passes its own tests, without a sandbox."""
    text = "\n".join((program.code, program.tests.setup, *program.tests.asserts))
    try:
        return subprocess.run([sys.executable, "-c", text], capture_output=True, timeout=SECONDS_PLAIN).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def kept(programs: list[Program], pool: ThreadPoolExecutor) -> list[Program]:
    """Those that pass plainly."""
    return [one for one, passes in zip(programs, pool.map(passes_plainly, programs), strict=True) if passes]


def judged(programs: list[Program], code: Callable[[Program], str], pool: ThreadPoolExecutor) -> dict[str, str]:
    """By id why a program is not correct; "" where it is."""

    def judge(program: Program) -> str:
        found = judge_code(code(program), program.tests, Limits())
        return "" if found.outcome == Outcome.CORRECT else f"{found.outcome}: {found.reason}"

    return dict(zip([program.id for program in programs], pool.map(judge, programs), strict=True))


def table(every: int) -> Row:
    """Counts, mismatches and speed."""
    line: Row = {"bench": "code"}
    with ThreadPoolExecutor(WORKERS) as pool:
        problems = rows("mbpp", every)
        sets = {
            "humaneval": [humaneval(row) for row in rows("humaneval", every)],
            "mbpp": kept([mbpp(row) for row in problems], pool),
            "mbpp_challenge": kept([mbpp(row, "challenge_tests") for row in problems if row["challenge_tests"]], pool),
        }
        for kind, programs in sets.items():
            started = time.perf_counter()
            own = judged(programs, lambda program: program.code, pool)
            seconds = time.perf_counter() - started
            empty = judged(programs, lambda program: program.empty, pool)
            line[kind] = {
                "programs": len(programs),
                "own_correct": sum(not reason for reason in own.values()),
                "empty_correct": sum(not reason for reason in empty.values()),
                "own_seconds": round(seconds, 1),
                "own_per_s": round(len(programs) / seconds, 1),
                "own_not_correct": {name: reason for name, reason in own.items() if reason},
                "empty_correct_ids": [name for name, reason in empty.items() if not reason],
                "empty_undecided": {name: reason for name, reason in empty.items() if reason.startswith("undecided")},
            }
        line["mbpp"]["of"] = len(problems)
        line["mbpp_challenge"]["of"] = sum(bool(row["challenge_tests"]) for row in problems)
    return line


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take each nth problem only")
    print(json.dumps(table(parser.parse_args().every)))
