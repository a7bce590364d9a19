"""Scores by a plain forward pass. The only module that imports transformers to run a model.

Prompt and text are tokenized apart, as they are when a model writes the text after the prompt, and
special-token strings inside the text stay text. The hidden states are computed once; lm_head is
applied in chunks, so that no [tokens × vocabulary] is ever held. Entropies are exact, in nats:
H = logsumexp(z) − Σ softmax(z)·z.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from transforms.errors import ModelError
from transforms.inference.engine import Failure, Response, ScoreRequest, TokenScores, TransformersModel
from transforms.inference.quiet import quiet_libraries

CHUNK = 256  # rows of logits held at once: 256 × 151,936 × 4 bytes = 156 MB for Qwen's vocabulary


class TransformersEngine:
    """A loaded causal language model with a fast tokenizer.

    Raises:
        ModelError: transformers is not installed, or cannot load the model.
    """

    def __init__(self, model: TransformersModel, folder: str):
        quiet_libraries(offline=os.path.isdir(folder))
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ModelError(
                f"the engine transformers is not installed ({error}): pip install -e '.[cpu]', or '.[gpu]'"
            ) from error
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, revision=model.revision)
            self._model = AutoModelForCausalLM.from_pretrained(
                folder, revision=model.revision, dtype=getattr(torch, model.dtype)
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"transformers cannot load {model.model} from {folder}: {str(error).splitlines()[0][:300]}"
            ) from error
        self._model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        self._max_model_len = model.max_model_len

    def run(self, requests: Sequence[ScoreRequest]) -> Iterator[tuple[int, Response]]:
        """Scores in the order of the requests."""
        for position, request in enumerate(requests):
            yield position, self._score(request)

    def _score(self, request: ScoreRequest) -> Response:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        prompt = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt_ids = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        text = self._tokenizer(
            request.text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
        )
        ids, offsets = text["input_ids"], text["offset_mapping"]
        if len(prompt_ids) + len(ids) > self._max_model_len:
            return Failure("too_long", f"{len(prompt_ids)} + {len(ids)} tokens, max_model_len is {self._max_model_len}")
        logprobs, entropies = self._forward(prompt_ids, ids) if ids else ([], [])
        starts, ends = zip(*offsets, strict=True) if offsets else ((), ())
        return TokenScores(tuple(starts), tuple(ends), tuple(logprobs), tuple(entropies))

    def _forward(self, prompt_ids: list[int], ids: list[int]) -> tuple[list[float], list[float]]:
        import torch

        tokens: Any = torch.tensor([prompt_ids + ids], device=self._model.device)
        logprobs: list[float] = []
        entropies: list[float] = []
        with torch.inference_mode():
            hidden = self._model.get_decoder()(tokens, use_cache=False).last_hidden_state[0, len(prompt_ids) - 1 : -1]
            targets = tokens[0, len(prompt_ids) :]
            for start in range(0, len(ids), CHUNK):
                logits = self._model.get_output_embeddings()(hidden[start : start + CHUNK]).float()
                total = logits.logsumexp(-1)
                chosen = logits.gather(-1, targets[start : start + CHUNK, None])[:, 0]
                expected = (logits.sub(total[:, None]).exp_().mul_(logits)).sum(-1)
                logprobs += (chosen - total).tolist()
                entropies += (total - expected).tolist()
        return [round(value, 6) for value in logprobs], [round(value, 6) for value in entropies]
