"""Pruning methods, a file each in `methods/`. What one needs beside the steps, always or with some of its options:

    scores     of each step; `entropies`, that these are among them
    actions    the teacher's opinions on what to do with each step, and its `rewrites`; `path`: on whether it is on the core path
    scorer     the model itself: the method is a dialogue with it, for what depends on its own decisions

A method gives one decision a step. It never writes text: what is kept is the original's, byte for byte, and what is
rewritten is the teacher's. To add one, write its file and list it in METHODS; `prune.options.NAME` is then its Config.
"""

from __future__ import annotations

from typing import Any

from transforms.pruning.method import Method, MethodConfig
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

METHODS: dict[str, Method[Any]] = {
    module.METHOD.name: module.METHOD
    for module in (
        keep_all, first_correct, asap, drp, step_entropy, answer_likelihood, random, head, tail,
    )
}  # fmt: skip


def needs(method: str, config: MethodConfig) -> frozenset[str]:
    """What the method reads beside the steps, with these options."""
    return METHODS[method].needs | config.needs
