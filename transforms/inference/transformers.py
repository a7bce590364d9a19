"""Scores by a plain forward pass, and generates. The only module that imports transformers to run a model.

Prompt and text are tokenized apart, as they are when a model writes the text after the prompt, and
special-token strings inside the text stay text. The hidden states are computed once; lm_head is
applied in chunks, so that no [tokens × vocabulary] is ever held. Entropies are exact, in nats:
H = logsumexp(z) − Σ softmax(z)·z.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from transforms.errors import ModelError
from transforms.folders import canonical_json
from transforms.inference.engine import (
    Completion,
    Failure,
    GenerateRequest,
    Request,
    Response,
    ScoreRequest,
    TokenScores,
    TransformersModel,
    too_long,
)
from transforms.inference.quiet import quiet_libraries
from transforms.inference.structured import in_prompt, without_fence
from transforms.types import Message

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
        self._max_model_len, self._batch_size = model.max_model_len, model.batch_size
        ends = self._model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Scores in the order of the requests; then completions, a batch of equal sampling at a time."""
        batches: dict[str, list[tuple[int, GenerateRequest]]] = {}
        for position, request in enumerate(requests):
            if isinstance(request, ScoreRequest):
                yield position, self._score(request)
            else:
                batches.setdefault(canonical_json(request.sampling.content()), []).append((position, request))
        for alike in batches.values():
            for start in range(0, len(alike), self._batch_size):
                yield from self._complete(alike[start : start + self._batch_size])

    def _complete(self, batch: Sequence[tuple[int, GenerateRequest]]) -> Iterator[tuple[int, Response]]:
        """The completions of requests with one sampling, padded on the left and generated together."""
        import torch

        sampling = batch[0][1].sampling
        fitting: list[tuple[int, list[int], bool]] = []
        for position, request in batch:
            ids = self._prompt_ids((in_prompt(request) if request.schema else request).messages)
            if failure := too_long(len(ids), sampling.max_tokens, self._max_model_len):
                yield position, failure
            else:
                fitting.append((position, ids, bool(request.schema)))
        if not fitting:
            return
        width, padding = max(len(ids) for _, ids, _ in fitting), self._tokenizer.pad_token_id or 0
        tokens = torch.tensor([[padding] * (width - len(ids)) + ids for _, ids, _ in fitting])
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, ids, _ in fitting])
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        with torch.inference_mode():
            found = self._model.generate(
                tokens.to(self._model.device), attention_mask=mask.to(self._model.device), max_new_tokens=sampling.max_tokens,
                pad_token_id=padding, return_dict_in_generate=True, output_logits=sampling.logprobs,
                **(drawn if sampling.temperature else {"do_sample": False}),
            )  # fmt: skip
        for row, (position, ids, structured) in enumerate(fitting):
            made = found.sequences[row, width:].tolist()
            ends = [number for number, token in enumerate(made) if token in self._ends]
            num_tokens = ends[0] + 1 if ends else len(made)
            text = self._tokenizer.decode(made[: ends[0] if ends else None], skip_special_tokens=True)
            logprob = None
            if sampling.logprobs:
                steps = [found.logits[number][row].float().log_softmax(-1) for number in range(num_tokens)]
                logprob = sum(float(step[token]) for step, token in zip(steps, made, strict=False))
            completion = Completion(text, "stop" if ends else "length", len(ids), num_tokens, logprob)
            yield position, replace(completion, text=without_fence(text)) if structured else completion

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        prompt = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return self._tokenizer(prompt, add_special_tokens=False)["input_ids"]

    def _score(self, request: ScoreRequest) -> Response:
        prompt_ids = self._prompt_ids(request.messages)
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
