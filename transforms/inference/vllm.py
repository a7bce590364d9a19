"""vLLM in this process. The only module that imports vllm.

Requests are added to vLLM's engine and answers taken out one by one as they finish, so that each is
kept at once: a run that is killed loses only what had not finished.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from transforms.core.errors import ModelError
from transforms.inference.models import VllmModel
from transforms.inference.quiet import quiet_libraries
from transforms.inference.requests import Completion, Failure, GenerateRequest, Response, chat, too_long


class VllmEngine:
    """A loaded `vllm.LLM`.

    Raises:
        ModelError: vLLM is not installed, or cannot load the model.
    """

    def __init__(self, model: VllmModel, folder: str):
        os.environ.setdefault(
            "VLLM_ENABLE_V1_MULTIPROCESSING", "0"
        )  # the engine dies with this process, whatever kills it
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(model.kv_cache_gib))
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        quiet_libraries(offline=os.path.isdir(folder))
        try:
            from vllm import LLM
        except ImportError as error:
            raise ModelError(
                f"the engine vllm is not installed ({error}): pip install -e '.[cpu]', or '.[gpu]' on a machine with a GPU"
            ) from error
        try:
            self._llm = LLM(
                model=folder, revision=model.revision, dtype=model.dtype, max_model_len=model.max_model_len, max_num_seqs=model.max_num_seqs,
                enforce_eager=model.enforce_eager, gpu_memory_utilization=model.gpu_memory_utilization,
                tensor_parallel_size=model.tensor_parallel_size, disable_log_stats=True,
                use_tqdm_on_load=False,
                # A setting of the engine: a request's own is not looked at, and small models fill their room with spaces.
                structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise ModelError(f"vllm cannot load {model.model} from {folder}: {_first_line(error)}") from error
        self._tokenizer = self._llm.get_tokenizer()
        self._max_model_len = model.max_model_len

    def run(self, requests: Sequence[GenerateRequest]) -> Iterator[tuple[int, Response]]:
        """Completions in the order in which they finish."""
        from vllm.exceptions import VLLMValidationError

        engine = self._llm.llm_engine
        for position, request in enumerate(requests):
            ids = self._prompt_ids(request)
            if failure := too_long(len(ids), request.sampling.max_tokens, self._max_model_len):
                yield position, failure  # vLLM would refuse the whole call
                continue
            try:
                engine.add_request(str(position), {"prompt_token_ids": ids}, _sampling_params(request))
            except VLLMValidationError as error:  # a schema with what xgrammar does not know
                yield position, Failure("bad_request", _first_line(error))
        while engine.has_unfinished_requests():
            try:
                outputs = engine.step()
            except Exception as error:  # whatever ends it: out of memory, a kernel that fails
                raise ModelError(
                    f"vllm stopped while generating ({type(error).__name__}: {_first_line(error)}): run the command again, "
                    "perhaps with a smaller max_num_seqs or kv_cache_gib; all finished answers are kept"
                ) from error
            for output in outputs:
                if output.finished:
                    text = output.outputs[0]
                    yield (
                        int(output.request_id),
                        Completion(
                            text.text,
                            str(text.finish_reason),
                            len(output.prompt_token_ids),
                            len(text.token_ids),
                            text.cumulative_logprob,
                        ),
                    )

    def _prompt_ids(self, request: GenerateRequest) -> list[int]:
        messages = chat(request.messages)
        prompt = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = self._tokenizer.encode(prompt, add_special_tokens=False)
        return ids + self._tokenizer(request.begun, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def _sampling_params(request: GenerateRequest) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    sampling = request.sampling
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        logprobs=0 if sampling.logprobs else None,  # 0: of the token that was drawn, and no others
        structured_outputs=StructuredOutputsParams(json=json.loads(request.schema)) if request.schema else None,
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
