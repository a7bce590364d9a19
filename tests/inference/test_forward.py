"""Scores by forward passes: the same numbers as with all logits at once, on tiny models made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from transforms.core.errors import ModelError
from transforms.core.records import Message
from transforms.inference import forward
from transforms.inference.forward import Scorer, Tokens, windows
from transforms.inference.models import TransformersModel
from transforms.inference.requests import Failure, ScoreRequest, TokenScores
from transforms.inference.transformers import TransformersEngine

TEXTS = [
    "2 + 3 = 5.\n\nSo it is 5.",
    "é 👩‍👧 naïve 日本\n\n\n\n then",
    "a <s> b </s> <|im_end|>",
    " \n\n  spaces\n\n\n\n\n",
    "x" * 300,
]
CORPUS = [*TEXTS, "Let me check: 12 + 30 = 42.\n\nWait, is that right?\n\nYes.", "The final answer is \\boxed{42}."]
TINY: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 4096, "vocab_size": 400,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
MODELS: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**TINY)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**TINY, sliding_window=16)),
    "gemma": lambda: Gemma2ForCausalLM(Gemma2Config(**TINY, final_logit_softcapping=0.5)),
    "granite": lambda: GraniteForCausalLM(GraniteConfig(**TINY, logits_scaling=8.0)),
}


def make(folder: Path, name: str, template: str | None = None) -> Path:
    """A model with random weights and a byte-level BPE that adds a BOS, as Llama's does."""
    if (folder / name).exists():
        return folder / name
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = template
    torch.manual_seed(7)
    model = MODELS[name]()
    for weight in model.parameters():  # far from uniform, so that a shift by one token is seen
        weight.data.mul_(6.0 if weight.dim() > 1 else 1.0)
    model.save_pretrained(folder / name)
    fast.save_pretrained(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def load(path: Path, dtype: Any = "float32", max_model_len: int = 2048) -> Any:
    model = TransformersModel(engine="transformers", model=str(path), dtype=dtype, max_model_len=max_model_len)
    engine = TransformersEngine(model, str(path))
    if path.name != "granite":
        engine._made_scorer()  # its check of lm_head is a pass that no test counts
    return engine


def request(text: str, spans: Any = None, prompt: str = "2 + 3?") -> ScoreRequest:
    return ScoreRequest((Message("user", prompt),), text, spans)


def ask(engine: Any, *requests: ScoreRequest) -> list[TokenScores]:
    answers = dict(engine.run(requests))
    assert all(isinstance(answer, TokenScores) for answer in answers.values()), answers
    return [answers[number] for number in range(len(requests))]


def assert_equals_a_plain_pass(engine: Any, text: str, tolerance: float, head: list[int]) -> None:
    """The same tokens as the tokenizer's, and the log-probabilities and entropies of full logits."""
    (scores,) = ask(engine, request(text))
    tail = engine._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert len(scores.starts) == len(tail)
    assert engine._tokenizer.decode(tail) == text
    assert_offsets_are_those_of_the_tokens(engine._tokenizer, tail, scores, text)
    with torch.inference_mode():
        logits = engine._model(torch.tensor([head + tail])).logits[0]
    plain = logits.float().log_softmax(-1)
    for position, token in enumerate(tail):
        row = plain[len(head) + position - 1]
        assert scores.logprobs_nats[position] == pytest.approx(row[token].item(), abs=tolerance)
        assert scores.entropies_nats[position] == pytest.approx(-(row.exp() * row).sum().item(), abs=tolerance)


def assert_offsets_are_those_of_the_tokens(tokenizer: Any, ids: list[int], scores: TokenScores, text: str) -> None:
    """A byte-level token has a character for each byte; of a character of several tokens each has it whole."""
    utf8, size = text.encode(), 0
    for name, start, end in zip(tokenizer.convert_ids_to_tokens(ids), scores.starts, scores.ends, strict=True):
        before, size = utf8[:size].decode(errors="ignore"), size + len(name)
        known = utf8[:size].decode(errors="ignore")
        begun = len(known.encode()) < size
        assert (start, end) == (len(before), len(known) + begun)
    assert size == len(utf8)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.05)])
@pytest.mark.parametrize("text", TEXTS)
def test_a_tokenizer_that_adds_bos(folder: Path, text: str, dtype: str, tolerance: float) -> None:
    """The prompt has the BOS, once; the text after it has none."""
    engine = load(make(folder, "llama"), dtype)
    head = engine._tokenizer.encode("2 + 3?\n\n")
    assert head[0] == engine._tokenizer.bos_token_id
    assert engine._prompt_ids((Message("user", "2 + 3?"),)) == head
    assert_equals_a_plain_pass(engine, text, tolerance, head)


def test_a_template_that_writes_bos(tmp_path: Path) -> None:
    template = "{{ bos_token }}{% for message in messages %}Q: {{ message.content }} A:{% endfor %}"
    engine = load(make(tmp_path, "llama", template))
    head = engine._prompt_ids((Message("user", "2 + 3?"),))
    assert engine._tokenizer.decode(head) == "<s>Q: 2 + 3? A:"
    assert_equals_a_plain_pass(engine, TEXTS[0], 1e-3, head)


@pytest.mark.parametrize("name", ["mistral", "gemma"])
def test_sliding_windows_and_capped_logits(folder: Path, name: str) -> None:
    engine = load(make(folder, name))
    head = engine._tokenizer.encode("2 + 3?\n\n")
    for text in TEXTS:
        assert_equals_a_plain_pass(engine, text, 1e-3, head)


def test_a_model_that_changes_its_logits_otherwise_is_refused(folder: Path) -> None:
    engine = load(make(folder, "granite"))  # it may generate
    with pytest.raises(ModelError, match="cannot score: GraniteForCausalLM changes its logits"):
        ask(engine, request("5"))


def test_a_window_that_the_model_does_not_have_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"max_model_len = 5000: .* reads 4096 tokens at most"):
        load(make(folder, "llama"), max_model_len=5000)


def test_a_pass_that_fails_leaves_nothing_behind(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    asked = variants(TEXTS[0] * 12, [100, 200])
    expected = ask(engine, *asked)
    calls: list[int] = []

    def fail(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")

    hook = engine._model.model.layers[1].register_forward_pre_hook(fail)
    answers = dict(engine.run(asked))
    failures = [answer for answer in answers.values() if isinstance(answer, Failure)]
    assert [failure.kind for failure in failures] == ["engine_error"]
    assert "out of memory" in failures[0].message
    for number, answer in answers.items():
        if isinstance(answer, TokenScores):
            assert answer.logprobs_nats == pytest.approx(expected[number].logprobs_nats, abs=1e-4)
    hook.remove()
    assert ask(engine, *asked) == expected


def test_an_error_that_is_no_lack_of_memory_is_not_hidden(folder: Path) -> None:
    engine = load(make(folder, "llama"))

    def fail(*_: Any) -> None:
        raise RuntimeError("size mismatch")

    hook = engine._model.model.layers[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="size mismatch"):
        ask(engine, request(TEXTS[0]))
    hook.remove()


def test_only_the_tokens_of_spans(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    text = TEXTS[0]
    (everything,) = ask(engine, request(text))
    (some,) = ask(engine, request(text, ((4, 5), (12, 14))))
    assert (some.starts, some.ends) == (everything.starts, everything.ends)
    wanted = {*everything.held(4, 5), *everything.held(12, 14)}
    for number, value in enumerate(some.logprobs_nats):
        assert (value is None) == (number not in wanted)
        assert value is None or value == pytest.approx(everything.logprobs_nats[number], abs=1e-5)


@pytest.mark.parametrize("name", ["llama", "mistral", "gemma"])
def test_the_last_layer_works_only_where_a_token_is_wanted(folder: Path, name: str) -> None:
    engine = load(make(folder, name))
    text = "Let me check: 12 + 30 = 42. " * 4
    (everything,) = ask(engine, request(text))
    rows = []
    mlp = engine._model.get_decoder().layers[-1].mlp
    counted = mlp.down_proj.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[1]))
    (some,) = ask(engine, request(text, ((40, 41), (80, 81))))
    counted.remove()
    wanted = [number for number, value in enumerate(some.logprobs_nats) if value is not None]
    assert rows == [len(wanted)] == [2]
    for number in wanted:
        assert some.logprobs_nats[number] == pytest.approx(everything.logprobs_nats[number], abs=1e-5)
    assert not mlp._forward_hooks
    assert not mlp._forward_pre_hooks


def test_spans_that_hold_no_token(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    nothing, something = ask(engine, request(TEXTS[0], ((900, 901),)), request(TEXTS[0]))
    assert nothing.starts == something.starts
    assert set(nothing.logprobs_nats) == {None}
    assert None not in something.logprobs_nats


def test_never_all_logits_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load(make(folder, "llama"))
    rows: list[int] = []
    engine._model.get_output_embeddings().register_forward_hook(lambda _, given, __: rows.append(given[0].shape[0]))
    monkeypatch.setattr(forward, "CHUNK", 32)
    (scores,) = ask(engine, request("2 + 3 = 5. " * 60))
    assert max(rows) <= 32
    assert sum(rows) == len(scores.starts)
    rows.clear()
    ask(engine, request("2 + 3 = 5. " * 60, ((11, 12), (22, 23))))
    assert rows == [2]


def variants(text: str, places: list[int]) -> list[ScoreRequest]:
    """The text; then an answer after it, after each of its beginnings, and without each piece."""
    answer = "\n\nThe final answer is \\boxed{42}."
    contexts = [text, *(text[:place] for place in places), *(text[:place] + text[place + 40 :] for place in places)]
    asked = [(one + answer, len(one) + answer.index("42")) for one in contexts]
    return [request(text), *(request(whole, ((start, start + 2),)) for whole, start in asked)]


def test_what_texts_share_is_computed_once_and_changes_nothing(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    asked = variants("Let me check: 12 + 30 = 42.\n\nWait, is that right?\n\n" * 12, [100, 200, 300, 400, 500])
    read: list[int] = []
    engine._model.get_decoder().register_forward_hook(lambda _, given, __: read.append(given[0].shape[1]))
    together = ask(engine, *asked)
    tokens_together = sum(read)
    read.clear()
    apart = [ask(engine, one)[0] for one in asked]
    assert tokens_together < 0.7 * sum(read)
    for one, other in zip(together, apart, strict=True):
        assert one.starts == other.starts
        for value, expected in zip(one.logprobs_nats, other.logprobs_nats, strict=True):
            assert value == (None if expected is None else pytest.approx(expected, abs=1e-3))


def test_the_answer_after_prefixes_costs_little_more_than_the_thinking(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    asked = variants("Let me check: 12 + 30 = 42.\n\nWait, is that right?\n\n" * 12, [100, 200, 300, 400, 500])[:7]
    read: list[int] = []
    engine._model.get_decoder().register_forward_hook(lambda _, given, __: read.append(given[0].shape[1]))
    scores = ask(engine, *asked)
    answer = len(scores[1].starts) - len(scores[0].starts)
    assert sum(read) <= len(scores[0].starts) + 30 + 6 * (answer + 5)


def test_models_whose_past_cannot_be_cut_share_nothing(folder: Path) -> None:
    engine = load(make(folder, "mistral"))
    asked = variants(TEXTS[0] * 12, [100, 200])
    together = ask(engine, *asked)
    for one, other in zip(together, (ask(engine, one)[0] for one in asked), strict=True):
        assert one == other


def test_windows_of_a_long_text(folder: Path) -> None:
    engine = load(make(folder, "llama"), max_model_len=64)
    text = "2 + 3 = 5. So it is. " * 20
    (scores,) = ask(engine, request(text))
    head = engine._tokenizer.encode("2 + 3?\n\n")
    tail = engine._tokenizer.encode(text, add_special_tokens=False)
    room = 64 - len(head)
    assert scores.num_windows == len(list(windows(len(tail), room))) > 2
    for start, first, end in windows(len(tail), room):
        with torch.inference_mode():
            plain = engine._model(torch.tensor([head + tail[start:end]])).logits[0].log_softmax(-1)
        for number in range(first, end):
            expected = plain[len(head) + number - start - 1][tail[number]].item()
            assert scores.logprobs_nats[number] == pytest.approx(expected, abs=1e-3)
    (last,) = ask(engine, request(text, ((len(text) - 2, len(text)),)))
    assert last.num_windows == scores.num_windows
    assert last.logprobs_nats[-1] == pytest.approx(scores.logprobs_nats[-1], abs=1e-5)


@given(st.integers(0, 500), st.integers(1, 60))
def test_windows_score_each_token_once_and_with_what_is_before_it(num_tokens: int, room: int) -> None:
    found = list(windows(num_tokens, room))
    scored = [number for _, first, end in found for number in range(first, end)]
    assert scored == list(range(num_tokens))
    assert all(0 <= start <= first and end - start <= room for start, first, end in found)
    assert all(first - start >= room // 2 - 1 for start, first, _ in found[1:])


def test_a_text_without_a_prompt(folder: Path) -> None:
    engine = load(make(folder, "llama"))
    ids = engine._tokenizer.encode("2 + 3 = 5.", add_special_tokens=False)
    ((_, scored),) = Scorer(engine._model, 64).run([Tokens([], ids, list(range(len(ids))))])
    assert scored.logprobs_nats[0] is None
    assert None not in scored.logprobs_nats[1:]
    with torch.inference_mode():
        plain = engine._model(torch.tensor([ids])).logits[0].log_softmax(-1)
    assert scored.logprobs_nats[1] == pytest.approx(plain[0][ids[1]].item(), abs=1e-3)


def test_too_long_a_prompt_and_no_text(folder: Path) -> None:
    engine = load(make(folder, "llama"), max_model_len=32)
    long = "2 + 3 " * 4
    asked = [
        request("5", prompt="word " * 40),
        request(""),
        request("5"),
        request("5", prompt=long),
        request(TEXTS[0] * 3, prompt=long),
    ]
    answers = dict(engine.run(asked))
    assert [getattr(answers[number], "kind", None) for number in range(5)] == ["too_long", None, None, None, "too_long"]
    assert answers[1] == TokenScores((), (), (), ())
    assert "leave no room for windows" in answers[4].message
