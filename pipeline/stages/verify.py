"""verdicts/ from traces/."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pipeline.stages.base import Context, Plan, over
from transforms import verify
from transforms.core.records import Outcome, Verdict
from transforms.shards.mapping import Job
from transforms.storage.folders import StageFolder


def plans(context: Context, method: str) -> Iterator[Plan]:
    """One."""
    config = context.params.verify
    job = Job("verify", Verdict, partial(verify.judged_traces, config=config), verify.verdict)
    prepare = verify.VoteOnAnswers(config) if config.reference == "vote" else None
    yield over(context, "verify", job, ["traces"], prepare=prepare, remarks=_remarks)


def _remarks(folder: StageFolder) -> Iterator[str]:
    if Outcome.CORRECT not in folder.counts("outcome"):
        reasons = folder.counts("reason")
        yield f"no trace is correct; most often: {max(reasons, key=lambda reason: reasons[reason], default='')}"
