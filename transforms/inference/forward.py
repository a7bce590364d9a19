"""Scores texts by plain forward passes of a transformers model: exact, and never [tokens × vocabulary] at once.

    Scorer(model, 4096).run([Tokens(head=[1, 5, 9], ids=[7, 7, 2], wanted=[0, 2])]) → (0, Scored([-0.1, -2.3], [0.4, 1.9], 1))

The hidden states are computed once; lm_head is applied only where a token is wanted, in chunks of rows. Entropies are
exact, in nats. A text that does not fit into the window is read in overlapping windows, each after the whole prompt; a
token is scored in the first window that holds it, so it sees at least half a window before it. Texts with the same
beginning, as a thinking with and without its last steps, are computed one after another, and what the next one shares
of the last is kept (its keys and values).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

CHUNK = 256  # rows of logits held at once: 256 × 151,936 × 2 bytes = 78 MB for Qwen's vocabulary
ROWS = 16  # of them worked on at once on a CPU
MIN_SHARED = 64  # tokens; less is not worth keeping


@dataclass(frozen=True)
class Tokens:
    """A tokenized text after a tokenized prompt, and which of its tokens are wanted, in order."""

    head: list[int]
    ids: list[int]
    wanted: list[int]

    @cached_property
    def read(self) -> Any:
        """What the model has to read, as an array: all of it where all is wanted, so that bfloat16 rounds as in a plain
        pass; else up to the token before the last wanted one."""
        everything = len(self.wanted) == len(self.ids)
        end = len(self.ids) if everything else self.wanted[-1] if self.wanted else 0
        return np.array(self.head + self.ids[:end], dtype=np.int64)

    @property
    def needed(self) -> int:
        """The first position whose state is needed: the one before the first wanted token."""
        return len(self.head) - 1 + self.wanted[0]


class Scored(NamedTuple):
    """Log-probabilities and entropies of the wanted tokens in nats; None for a first token with nothing before it."""

    logprobs_nats: list[float | None]
    entropies_nats: list[float | None]
    num_windows: int


class Scorer:
    """A causal language model of transformers, and the keys and values of what it read last.

    Raises:
        ValueError: the model does something to its logits that this module does not know.
    """

    def __init__(self, model: Any, max_model_len: int):
        self._model, self._max_model_len = model, max_model_len
        self._can_share = _can_be_cut(model)
        self._last_mlp = _dense_mlp(model)
        self._softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
        self._read: Tokens | None = None  # whose keys and values are in _past
        self._past: Any = None
        self._check_head()

    def run(self, texts: Sequence[Tokens]) -> Iterator[tuple[int, Scored | RuntimeError]]:
        """(Position in `texts`, its scores), each text after the one that it shares most with.

        For a text that memory does not hold the error, in place of the scores.
        """
        waiting = dict(enumerate(texts))
        position = max(waiting, key=lambda number: (len(texts[number].wanted), len(texts[number].ids)), default=None)
        while position is not None:
            text = waiting.pop(position)
            after = max(waiting, key=lambda number: _common(text, waiting[number]), default=None)
            yield position, self._score_or_error(text, None if after is None else waiting[after])
            position = after

    def room(self, head: list[int]) -> int:
        """How many tokens of a text fit after the prompt."""
        return self._max_model_len - len(head)

    def _score_or_error(self, text: Tokens, following: Tokens | None) -> Scored | RuntimeError:
        try:
            return self._score(text, following)
        except RuntimeError as error:  # torch has no other for a CPU's memory
            if "memory" not in str(error).lower():
                raise
            return error

    def _score(self, text: Tokens, following: Tokens | None) -> Scored:
        pieces = list(windows(len(text.ids), self.room(text.head)))
        logprobs: list[float | None] = []
        entropies: list[float | None] = []
        for start, first, end in pieces:
            wanted = [number - start for number in text.wanted if first <= number < end]
            if wanted and not text.head and wanted[0] == 0:
                logprobs.append(None)
                entropies.append(None)
                wanted = wanted[1:]
            if wanted:
                piece = Tokens(text.head, text.ids[start:end], wanted)
                found = self._forward(piece, following if len(pieces) == 1 else None)
                logprobs += found[0]
                entropies += found[1]
        return Scored(logprobs, entropies, len(pieces))

    def _forward(self, text: Tokens, following: Tokens | None) -> tuple[list[float], list[float]]:
        import torch

        logprobs: list[float] = []
        entropies: list[float] = []
        with torch.inference_mode():
            hidden = self._hidden(text, following)
            wanted = torch.tensor(text.wanted, device=hidden.device)
            tokens = torch.tensor(text.ids, device=hidden.device)[wanted]
            rows = wanted - wanted[0]
            for start in range(0, len(rows), CHUNK):
                chunk = slice(start, start + CHUNK)
                found = self._measured(hidden[rows[chunk]], tokens[chunk])
                logprobs += found[0].tolist()
                entropies += found[1].tolist()
        return [round(value, 6) for value in logprobs], [round(value, 6) for value in entropies]

    def _measured(self, hidden: Any, tokens: Any) -> tuple[Any, Any]:
        """Log-probability of each token and entropy of the distribution that it came from, from the states before it.

        With z the logits less the largest one and S = Σ exp(z): log p = z − log S, H = log S − Σ exp(z)·z / S. On a CPU a
        few rows at a time, so that they stay in its cache: three times as fast as a chunk at once.
        """
        import torch

        logits = self._model.get_output_embeddings()(hidden)
        rows = ROWS if logits.device.type == "cpu" else CHUNK
        logprobs, entropies = [], []
        for start in range(0, len(tokens), rows):
            z = self._final(logits[start : start + rows])
            z = (z - z.amax(-1, keepdim=True)).clamp_(min=-1e4)  # a masked token is −inf, and 0 · −inf is no number
            chosen = z.gather(-1, tokens[start : start + rows, None])[:, 0]
            shares = z.exp()
            total = shares.sum(-1)
            logprobs.append(chosen - total.log())
            entropies.append(total.log() - shares.mul_(z).sum(-1) / total)
        return torch.cat(logprobs), torch.cat(entropies)

    def _hidden(self, text: Tokens, following: Tokens | None) -> Any:
        """The last layer's states from `text.needed` on, [positions, width]. Keeps what the text that follows can use."""
        import torch
        from transformers import DynamicCache

        shared = 0 if self._read is None else min(_common(self._read, text), text.needed)
        keep = following is not None and self._shares(text, following)
        past, self._read, self._past = self._past, None, None  # gone, should the pass fail
        if shared < MIN_SHARED:
            past, shared = DynamicCache(config=self._model.config) if keep else None, 0
        else:
            past.crop(shared)
        tokens = torch.from_numpy(text.read[None, shared:]).to(self._model.device)
        rows = torch.tensor(text.wanted, device=tokens.device) + (len(text.head) - 1 - shared)
        with self._last_layer_only(rows, tokens.shape[1]):
            found = self._model.get_decoder()(tokens, past_key_values=past, use_cache=past is not None)
        if keep:
            self._read, self._past = text, past
        return found.last_hidden_state[0, text.needed - shared :]

    @contextmanager
    def _last_layer_only(self, rows: Any, num_tokens: int) -> Iterator[None]:
        """Lets the last layer's MLP work on these rows alone where they are few: nothing reads what it makes of the others."""
        if self._last_mlp is None or len(rows) > num_tokens // 2:
            yield
            return

        def take(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            return (inputs[0][:, rows], *inputs[1:])

        def put_back(_: Any, __: Any, output: Any) -> Any:
            return output.new_zeros(1, num_tokens, output.shape[-1]).index_copy_(1, rows, output)

        hooks = [self._last_mlp.register_forward_pre_hook(take), self._last_mlp.register_forward_hook(put_back)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _shares(self, text: Tokens, following: Tokens) -> bool:
        """Whether enough of `text` can be used for the text that follows."""
        fits = len(following.ids) <= self.room(following.head) and bool(following.wanted)
        return self._can_share and fits and min(_common(text, following), following.needed) >= MIN_SHARED

    def _final(self, logits: Any) -> Any:
        """What lm_head gives as the model's own logits are, in float32."""
        logits = logits.float()
        return self._softcap * (logits / self._softcap).tanh() if self._softcap else logits

    def _check_head(self) -> None:
        """Compares with the model's own logits: some models scale them."""
        import torch

        tokens = torch.tensor([[1, 2, 3, 4]], device=self._model.device)
        with torch.inference_mode():
            plain = self._model(tokens).logits[0].float()
            hidden = self._model.get_decoder()(tokens, use_cache=False).last_hidden_state[0]
            ours = self._final(self._model.get_output_embeddings()(hidden))
        if (plain - ours).abs().max() > 0.02 * plain.abs().max():
            raise ValueError(f"{type(self._model).__name__} changes its logits in a way that is not known here")


def windows(num_tokens: int, room: int) -> Iterator[tuple[int, int, int]]:
    """(Start, first token scored, end) of the windows of `room` tokens that hold all of a text; they overlap by half."""
    if num_tokens <= room:
        yield 0, 0, num_tokens
        return
    scored = 0
    for start in [*range(0, num_tokens - room, room - room // 2), num_tokens - room]:
        yield start, scored, start + room
        scored = start + room


def _dense_mlp(model: Any) -> Any:
    """The MLP of the last layer, if it is one that takes and gives one state a token (no mixture of experts); else None."""
    layers = getattr(model.get_decoder(), "layers", None)
    mlp = getattr(layers[-1], "mlp", None) if layers else None
    return mlp if hasattr(mlp, "down_proj") and hasattr(mlp, "up_proj") else None


def _can_be_cut(model: Any) -> bool:
    """Whether keys and values can be cut back to an earlier token: not with sliding windows, nor with a running state."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


def _common(first: Tokens, second: Tokens) -> int:
    """How many tokens that have to be read two texts begin with alike."""
    shortest = min(len(first.read), len(second.read))
    differ = first.read[:shortest] != second.read[:shortest]
    return int(differ.argmax()) if differ.any() else shortest
