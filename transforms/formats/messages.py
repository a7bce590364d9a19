"""OpenAI-style messages, the thinking in `<think>` tags before the response.

    [{"role": "user", "content": "2 + 3 = ?"},
     {"role": "assistant", "content": "<think>\\n2 + 3 = 5.\\n</think>\\n\\nIt is 5."}]

TRL, LLaMA-Factory, Axolotl and NeMo read a `messages` column of this shape. Templates that delete what
stands before `</think>` (DeepSeek-R1's) need the text rendered beforehand.
"""

from __future__ import annotations

from transforms.core.records import Example, Kept, Message
from transforms.steps.versions import Version


def render(version: Version, kept: Kept, prompt: str, round: int) -> Example:
    """The training example of a version that was kept, as the answer to `prompt`; `round` is that of the data set."""
    trace, found = version.trace, version.result
    answer = f"<think>\n{version.final.strip()}\n</think>\n\n{trace.response}"
    return Example(
        id=trace.id,
        problem_id=trace.problem.id,
        messages=(Message("user", prompt), Message("assistant", answer)),
        source=trace.problem.source,
        license=trace.problem.license,
        family=trace.problem.family,
        model=trace.model,
        method=version.method,
        num_thinking_tokens=found.num_tokens_after,
        num_thinking_tokens_original=found.num_tokens_before,
        num_correct=kept.num_correct,
        num_samples=kept.num_samples,
        reference=kept.reference,
        agreement=kept.agreement,
        round=round,
    )
