"""A model in transformers: scores by a plain forward pass (`transforms.inference.forward`), and generates.

Prompt and text are tokenized apart, as they are when a model writes the text after the prompt; the text once, as a whole,
and special-token strings inside it stay text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transforms.core.errors import ModelError
from transforms.core.hashing import canonical_json
from transforms.core.records import Message
from transforms.inference.forward import Scorer, Tokens
from transforms.inference.models import TransformersModel
from transforms.inference.quiet import quiet_libraries
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Request,
    Response,
    ScoreRequest,
    TokenScores,
    chat,
    too_long,
)
from transforms.inference.structured import in_prompt, without_fence


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
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if positions and model.max_model_len > positions:
            raise ModelError(f"max_model_len = {model.max_model_len}: {model.model} reads {positions} tokens at most")
        self._name, self._max_model_len, self._batch_size = model.model, model.max_model_len, model.batch_size
        self._scorer: Scorer | None = None
        ends = self._model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Scores, the requests with the same messages together; then completions, a batch of equal sampling at a time."""
        batches: dict[str, list[tuple[int, GenerateRequest]]] = {}
        scored: dict[tuple[Message, ...], list[tuple[int, ScoreRequest]]] = {}
        for position, request in enumerate(requests):
            if isinstance(request, ScoreRequest):
                scored.setdefault(request.messages, []).append((position, request))
            else:
                batches.setdefault(canonical_json(request.sampling.content()), []).append((position, request))
        for together in scored.values():
            yield from self._scores(together)
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
            ids = ids + self._text_ids(request.begun) if request.begun else ids
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
        """The chat as the model's template has it; a model without one gets the messages' texts, after its BOS if it has one."""
        if self._tokenizer.chat_template is None:
            ids: list[int] = self._tokenizer("\n\n".join(message.content for message in messages) + "\n\n")["input_ids"]
            return ids[:-1] if ids[-1:] == [self._tokenizer.eos_token_id] else ids  # some end every text
        prompt = self._tokenizer.apply_chat_template(chat(messages), tokenize=False, add_generation_prompt=True)
        return self._tokenizer(prompt, add_special_tokens=False)["input_ids"]

    def _text_ids(self, text: str) -> list[int]:
        """What the assistant says, in which special-token strings stay text."""
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _made_scorer(self) -> Scorer:
        """The scorer, made when it is first wanted: a model that only generates need not be one that can score."""
        if self._scorer is None:
            try:
                self._scorer = Scorer(self._model, self._max_model_len)
            except ValueError as error:
                raise ModelError(f"{self._name} cannot score: {error}") from error
        return self._scorer

    def _scores(self, requests: Sequence[tuple[int, ScoreRequest]]) -> Iterator[tuple[int, Response]]:
        """The scores of requests with the same messages."""
        head = self._prompt_ids(requests[0][1].messages)
        asked, texts = [], []
        for position, request in requests:
            found = self._tokenizer(
                request.text, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
            )
            num_tokens = len(head) + len(found["input_ids"])
            if num_tokens > self._max_model_len and len(head) > self._max_model_len // 2:
                message = (
                    f"{num_tokens} tokens, max_model_len is {self._max_model_len}, "
                    f"and the prompt's {len(head)}, more than half of it, leave no room for windows"
                )
                yield position, Failure("too_long", message)
                continue
            starts, ends = zip(*found["offset_mapping"], strict=True) if found["input_ids"] else ((), ())
            scores = TokenScores(starts, ends, (None,) * len(starts), (None,) * len(starts))
            asked.append((position, scores))
            texts.append(Tokens(head, found["input_ids"], request.wanted(scores)))
        for number, scored in self._made_scorer().run(texts):
            position, scores = asked[number]
            if isinstance(scored, RuntimeError):
                yield position, Failure("engine_error", f"{len(texts[number].ids)} tokens: {scored}"[:300])
                continue
            logprobs, entropies = list(scores.logprobs_nats), list(scores.entropies_nats)
            for place, logprob, entropy in zip(
                texts[number].wanted, scored.logprobs_nats, scored.entropies_nats, strict=True
            ):
                logprobs[place], entropies[place] = logprob, entropy
            yield (
                position,
                TokenScores(scores.starts, scores.ends, tuple(logprobs), tuple(entropies), (), scored.num_windows),
            )
