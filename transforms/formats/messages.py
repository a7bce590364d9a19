"""OpenAI-style messages, the thinking in `<think>` tags before the response.

    [{"role": "user", "content": "2 + 3 = ?"},
     {"role": "assistant", "content": "<think>\\n2 + 3 = 5.\\n</think>\\n\\nIt is 5."}]

TRL, LLaMA-Factory, Axolotl and NeMo read a `messages` column of this shape. Templates that delete what
stands before `</think>` (DeepSeek-R1's) need the text rendered beforehand.
"""

from __future__ import annotations

from transforms.core.records import Example, KeptTrace, Message


def render(trace: KeptTrace, prompt: str, round: int) -> Example:
    """The training example of one kept trace, as the answer to `prompt`; `round` is that of the data set."""
    answer = f"<think>\n{trace.thinking.strip()}\n</think>\n\n{trace.response}"
    return Example(
        id=trace.id,
        problem_id=trace.problem.id,
        messages=(Message("user", prompt), Message("assistant", answer)),
        source=trace.problem.source,
        family=trace.problem.family,
        model=trace.model,
        method=trace.method,
        num_thinking_tokens=trace.num_tokens_after,
        num_thinking_tokens_original=trace.num_tokens_before,
        num_correct=trace.num_correct,
        num_samples=trace.num_samples,
        reference=trace.reference,
        agreement=trace.agreement,
        round=round,
    )
