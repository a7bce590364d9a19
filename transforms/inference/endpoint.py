"""A server that speaks OpenAI's chat completions: vLLM serve, llama.cpp, Ollama, hosted APIs.

Requests go out side by side, `concurrency` at a time and no faster than the limits per minute. What may pass is tried
again, with growing random waits or as long as the server says (Retry-After): 408, 409, 429, 5xx, time-outs, dropped
connections. What is wrong with one request is its Failure. What is wrong with all of them (no server, no key, no such
model, no money) ends the run with a ModelError; the answers that came before are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from transforms.core.errors import ModelError
from transforms.inference import prompt_logprobs
from transforms.inference.models import EndpointModel
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Request,
    Response,
    ScoreRequest,
    chat,
    finish_reason,
)
from transforms.inference.structured import in_prompt, without_fence

MAX_WAIT_SECONDS, MAX_ATTEMPTS, MAX_REFUSED = 60.0, 8, 20
CHARS_PER_TOKEN = 2  # a cautious guess before the server says
_NO_SCHEMAS = re.compile(r"response_format|schema|structured|guided|grammar", re.IGNORECASE)
_RETRIED = {408, 409, 429}
_BACKOFF = wait_random_exponential(multiplier=1, max=MAX_WAIT_SECONDS)
_TOO_LONG = ("context length", "context_length", "maximum context", "too long", "exceed_context_size")


class _AgainError(Exception):
    """An attempt that failed in a way that may pass; `nobody_there`: it did not even reach the server."""

    def __init__(self, failure: Failure, wait_seconds: float | None = None, nobody_there: bool = False):
        super().__init__(failure.message)
        self.failure, self.wait_seconds, self.nobody_there = failure, wait_seconds, nobody_there


class EndpointEngine:
    """A server, and the pace at which it may be asked.

    Raises:
        ModelError: the key is not set; while running: nobody answers, or all requests would fail.
    """

    def __init__(self, model: EndpointModel):
        self._model, self._key = model, model.api_key()
        self._url = _url(model.base_url)
        self._loop = asyncio.Runner()
        self._limits, self._pacing = _limits(model), asyncio.Lock()
        self._num_answers = self._num_answer_tokens = self._prompt_chars = self._prompt_tokens = 0
        self._num_refused = 0
        self._stopped: Exception | None = None
        self._unreachable_since: float | None = None
        self._knows_schemas = True
        self._where = f"{model.model} at {model.base_url}"

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Completions and scores in the order in which they arrive."""
        answers = self._answers(requests)
        try:
            while (found := self._loop.run(_next(answers))) is not None:
                yield found
        finally:
            with contextlib.suppress(RuntimeError):  # interrupted in the middle
                self._loop.run(_close(answers))

    async def _answers(self, requests: Sequence[Request]) -> AsyncGenerator[tuple[int, Response], None]:
        timeout = httpx.Timeout(self._model.timeout_seconds, connect=min(20.0, self._model.timeout_seconds))
        pool = httpx.Limits(max_connections=self._model.concurrency, max_keepalive_connections=self._model.concurrency)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        slots = asyncio.Semaphore(self._model.concurrency)
        ready: asyncio.Queue[tuple[int, Response | Exception]] = asyncio.Queue()
        self._stopped = None
        try:
            made = httpx.AsyncClient(headers=headers, timeout=timeout, limits=pool)
        except (
            ImportError,
            OSError,
            ValueError,
            httpx.InvalidURL,
        ) as error:  # proxies and certificates, of the environment
            raise ModelError(
                f"no connection to {self._model.base_url} can be made: {self._clean(str(error))}"
            ) from None
        async with made as client:

            async def answer(position: int, request: Request) -> None:
                async with slots:
                    found: Response | Exception | None = self._stopped  # then nothing new is asked
                    try:
                        found = found or await self._answer(client, request)
                    except Exception as error:
                        self._stopped = found = self._stopped or error
                    ready.put_nowait((position, found))

            tasks = [asyncio.create_task(answer(number, request)) for number, request in enumerate(requests)]
            try:
                for _ in requests:  # what is on its way when the run ends may still arrive
                    position, found = await ready.get()
                    if not isinstance(found, Exception):
                        yield position, found
                if self._stopped:
                    raise self._stopped
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, client: httpx.AsyncClient, request: Request) -> Response:
        """The answer, after as many attempts as it takes within the deadline."""
        await self._keep_pace(request)
        last = Failure("timeout", f"no answer within deadline_seconds = {self._model.deadline_seconds:g}")
        try:
            async with asyncio.timeout(self._model.deadline_seconds):
                again = retry_if_exception_type(_AgainError)
                async for attempt in AsyncRetrying(retry=again, wait=_wait, stop=_hopeless, reraise=True):
                    with attempt:
                        if attempt.retry_state.attempt_number > 1:
                            if self._stopped:
                                return last
                            await self._keep_pace(request)
                        try:
                            return await self._structured(client, request)
                        except _AgainError as error:
                            last = error.failure
                            raise
        except (TimeoutError, _AgainError):
            if last.kind == "bad_response" and not self._num_answers:
                raise ModelError(
                    f"{self._where} does not answer as OpenAI's chat completions do ({last.message}): fix base_url"
                ) from None
            return last
        raise AssertionError("an attempt returns or raises")

    async def _structured(self, client: httpx.AsyncClient, request: Request) -> Response:
        """One attempt. A server that does not know `response_format` gets the schema in the prompt, now and from then on."""
        if isinstance(request, ScoreRequest):
            return await self._attempt(client, request)
        if request.schema and not self._knows_schemas:
            found = await self._attempt(client, in_prompt(request))
            return replace(found, text=without_fence(found.text)) if isinstance(found, Completion) else found
        found = await self._attempt(client, request)
        if request.schema and isinstance(found, Failure) and _NO_SCHEMAS.search(found.message):
            self._knows_schemas = False
            return await self._structured(client, request)
        return found

    async def _keep_pace(self, request: Request) -> None:
        """Waits until the limits per minute allow another attempt."""
        async with self._pacing:  # one after another, so that the first has not to wait for all
            for limit, of_tokens in self._limits:
                left = self._tokens_expected(request) if of_tokens else 1.0
                while left > 0:
                    await limit.acquire(min(left, limit.max_rate))
                    left -= limit.max_rate

    async def _attempt(self, client: httpx.AsyncClient, request: Request) -> Response:
        try:
            async with asyncio.timeout(self._model.timeout_seconds):
                reply = await client.post(self._url, json=self._body(request))
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise _AgainError(Failure("timeout", f"no answer within {self._model.timeout_seconds:g} s")) from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from None
        except httpx.TransportError as error:  # somebody was there
            raise _AgainError(Failure("connection", self._clean(f"{type(error).__name__}: {error}"))) from None
        except httpx.RequestError as error:
            raise _AgainError(Failure("bad_response", self._clean(f"{type(error).__name__}: {error}"))) from None
        self._unreachable_since = None
        return self._read(reply, request)

    def _unreachable(self, error: Exception) -> Exception:
        """Another attempt, or the end of the run if nobody could be reached for too long."""
        what, now = self._clean(f"{type(error).__name__}: {error}".rstrip(": ")), time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
        if now - self._unreachable_since >= self._model.unreachable_seconds:
            return ModelError(
                f"the server at {self._model.base_url} has not answered for {self._model.unreachable_seconds:g} s ({what}): "
                "start it, or fix base_url, and run the command again; all finished answers are kept"
            )
        return _AgainError(Failure("connection", what), nobody_there=True)

    def _read(self, reply: httpx.Response, request: Request) -> Response:
        try:
            content = reply.json()
        except (ValueError, RecursionError):
            content = None
        error = _error(content)
        if not reply.is_success or error:
            return self._refused(reply, _message(error, content, reply), _code(error))
        if isinstance(request, ScoreRequest):
            scores = prompt_logprobs.parse(content, request)
            if scores is None:
                raise ModelError(
                    f"{self._where} gives no log-probabilities of prompts, as vLLM's server does: it cannot score"
                )
            self._num_answers += 1
            return scores
        completion = _completion(content, request)
        if completion is None:
            raise _AgainError(Failure("bad_response", self._clean(f"no completion: {reply.text[:2000]}")))
        self._learn(request, completion)
        if completion.finish_reason in ("error", "abort"):
            raise _AgainError(Failure("server_error", f"the server ended the answer: {completion.finish_reason}"))
        if completion.finish_reason not in ("stop", "length"):
            return Failure("refused", self._clean(f"the server ended the answer: {completion.finish_reason}"))
        return completion

    def _learn(self, request: GenerateRequest, completion: Completion) -> None:
        """How many tokens answers and prompts have, for the limit of tokens; guessed from the text where the server does not say."""
        chars = len(completion.text) + len(completion.reasoning)
        self._num_answers += 1
        self._num_answer_tokens += completion.num_tokens or chars // CHARS_PER_TOKEN
        self._prompt_chars += _chars(request) if completion.num_prompt_tokens else 0
        self._prompt_tokens += completion.num_prompt_tokens

    def _refused(self, reply: httpx.Response, message: str, code: str) -> Failure:
        """What is wrong with one request. Raises _AgainError or ModelError for all else."""
        status, where = reply.status_code, self._where
        message = self._clean(message)
        if reply.is_success:  # some gateways put the error into a good answer
            status = int(code) if code.isdecimal() else 500
        if "insufficient_quota" in code or status == 402:
            raise ModelError(f"{where}: the account has no credit left ({message}); all finished answers are kept")
        if status == 401 or (status == 403 and not self._num_answers):  # later it is about the request
            named = f"the key in {self._model.api_key_env}" if self._model.api_key_env else "requests without a key"
            raise ModelError(f"{where} refuses {named} ({status}: {message})")
        if 300 <= status < 400:
            raise ModelError(f"{where} redirects to {reply.headers.get('location')}: fix base_url")
        if status in (404, 405, 407, 410):
            raise ModelError(f"{where}: no such model or address ({status}: {message}); base_url usually ends in /v1")
        if status in _RETRIED or status >= 500:
            kind = "rate_limited" if status == 429 else "timeout" if status == 408 else "server_error"
            raise _AgainError(Failure(kind, f"{status}: {message}"), _retry_after(reply.headers))  # type: ignore[arg-type]
        self._num_refused += not self._num_answers
        if self._num_refused >= MAX_REFUSED:
            raise ModelError(f"{where} refuses every request ({status}: {message})")
        kind = "too_long" if any(text in message.lower() or text in code for text in _TOO_LONG) else "bad_request"
        return Failure(kind, f"{status}: {message}")  # type: ignore[arg-type]

    def _body(self, request: Request) -> dict[str, Any]:
        if isinstance(request, ScoreRequest):
            return prompt_logprobs.body(request, self._model) | self._model.extra_body
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model.model,
            "messages": chat(request.messages),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._model.max_tokens_key: sampling.max_tokens,
        }
        if request.begun:  # as vLLM's and SGLang's servers take it
            body["messages"] = [*body["messages"], {"role": "assistant", "content": request.begun}]
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if sampling.logprobs:
            body["logprobs"] = True
        if request.schema:
            schema = {"name": "answer", "schema": json.loads(request.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body | self._model.extra_body

    def _tokens_expected(self, request: Request) -> float:
        """Of prompt and answer; answers are guessed from those that came."""
        if isinstance(request, ScoreRequest):
            return (_chars(request) + len(request.text)) / CHARS_PER_TOKEN
        prompt = _chars(request) * (
            self._prompt_tokens / self._prompt_chars if self._prompt_chars else 1 / CHARS_PER_TOKEN
        )
        mean = self._num_answer_tokens / self._num_answers if self._num_answers else request.sampling.max_tokens
        return prompt + mean

    def _clean(self, text: str) -> str:
        """One line without the key, which some servers repeat."""
        text = text.replace(self._key, "***") if self._key else text  # before it is cut
        return " ".join(text.split())[:300]


async def _next(answers: AsyncGenerator[tuple[int, Response], None]) -> tuple[int, Response] | None:
    return await anext(answers, None)


async def _close(answers: AsyncGenerator[tuple[int, Response], None]) -> None:
    await answers.aclose()


def _limits(model: EndpointModel) -> list[tuple[AsyncLimiter, bool]]:
    """The limits per minute, each with whether it counts tokens. They are spread evenly: no burst uses up a minute's share."""
    limits = []
    if model.requests_per_minute:
        limits.append((AsyncLimiter(1, 60 / model.requests_per_minute), False))
    if model.tokens_per_minute:
        limits.append((AsyncLimiter(model.tokens_per_minute / 12, 5), True))
    return limits


def _wait(state: RetryCallState) -> float:
    """As long as the server said, and a little longer, so that not all come back at once; else a random, growing time."""
    error = state.outcome.exception() if state.outcome else None
    said = error.wait_seconds if isinstance(error, _AgainError) else None
    backoff = float(_BACKOFF(state))
    return backoff if said is None else said + min(backoff, 1.0)


def _hopeless(state: RetryCallState) -> bool:
    """Whether the server fails on this request again and again; it may be the request."""
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, _AgainError) or error.nobody_there:
        return False
    most = {"server_error": MAX_ATTEMPTS, "connection": MAX_ATTEMPTS, "bad_response": 3}
    return state.attempt_number >= most.get(error.failure.kind, math.inf)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from a header that holds seconds, milliseconds or a date (RFC 9110, section 10.2.3)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except ValueError:
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _completion(content: Any, request: GenerateRequest) -> Completion | None:
    """The first choice of a chat completion, or None if it is none."""
    try:
        choice = content["choices"][0]
        message, usage = choice["message"], content.get("usage") or {}
        reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
        text = message.get("content") or ""
        if isinstance(text, list):  # parts, as Mistral gives them
            reasoning = reasoning or _parts(text, "thinking")
            text = _parts(text, "text")
        if not isinstance(text, str) or not isinstance(reasoning, str):
            return None
        logprob = None
        if request.sampling.logprobs and choice.get("logprobs"):
            logprob = math.fsum(float(token["logprob"]) for token in choice["logprobs"]["content"])
        return Completion(
            text=text,
            finish_reason=finish_reason(str(choice.get("finish_reason") or "")),
            num_prompt_tokens=_count(usage.get("prompt_tokens")),
            num_tokens=_count(usage.get("completion_tokens")),
            sum_logprob_nats=logprob,
            reasoning=reasoning,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _parts(content: list[Any], kind: str) -> str:
    """The texts of all parts of a kind; those of a thinking part may be parts again."""
    found = [part[kind] for part in content if part.get("type") == kind]
    return "".join(text if isinstance(text, str) else _parts(text, "text") for text in found)


def _count(value: Any) -> int:
    """A number of tokens; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0


def _chars(request: Request) -> int:
    begun = len(request.begun) if isinstance(request, GenerateRequest) else 0
    return begun + sum(len(message.content) for message in request.messages)


def _url(base_url: str) -> str:
    """Where completions are asked for. Raises ModelError if that is no address."""
    try:
        url = httpx.URL(f"{base_url.rstrip('/')}/chat/completions")
        if url.port is not None and not 0 < url.port < 1 << 16:
            raise httpx.InvalidURL(f"no port {url.port}")
    except httpx.InvalidURL as error:
        raise ModelError(f"base_url = {base_url!r} is no address: {error}") from None
    return str(url)


def _error(content: Any) -> Any:
    """The error in a reply: at its top, or in its first choice."""
    if not isinstance(content, dict):
        return None
    choices = content.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return content.get("error") or (first.get("error") if isinstance(first, dict) else None)


def _message(error: Any, content: Any, reply: httpx.Response) -> str:
    """The server's words, wherever it put them."""
    for found in (error, content):
        if isinstance(found, dict):
            found = found.get("message") or found.get("detail")
        if isinstance(found, str) and found:
            return found
    return reply.text[:2000] or reply.reason_phrase


def _code(error: Any) -> str:
    return str(error.get("code") or error.get("type") or "").lower() if isinstance(error, dict) else ""
