"""Pruning methods: one module each, with `Config`, `NEEDS`, `VERSION`, and `prune` or `dialogue`.

NEEDS holds what a method reads beside the steps, and `Config.needs` what some options of it read, too:

    scores     of each step; `entropies`, that these are among them
    actions    the teacher's opinions on what to do with each step, and its `rewrites`; `path`: on whether it is on the core path
    scorer     the model itself: the method is a dialogue with it, for what depends on its own decisions

A method gives one decision a step. It never writes text: what is kept is the original's, byte for byte, and what is
rewritten is the teacher's. To add one, write its module and list it in METHODS; `prune.options.NAME` is then its Config.
"""

from __future__ import annotations

from types import ModuleType

from transforms.core.config import Config
from transforms.pruning.methods import (
    answer_likelihood,
    asap,
    drp,
    first_correct,
    head,
    keep_all,
    random,
    step_entropy,
    tail,
)

METHODS: dict[str, ModuleType] = {
    "keep_all": keep_all,
    "first_correct": first_correct,
    "asap": asap,
    "drp": drp,
    "step_entropy": step_entropy,
    "answer_likelihood": answer_likelihood,
    "random": random,
    "head": head,
    "tail": tail,
}


def needs(method: str, config: Config) -> frozenset[str]:
    """What the method reads beside the steps, with these options."""
    found: frozenset[str] = METHODS[method].NEEDS | getattr(config, "needs", frozenset())
    return found
