"""How far the requests of a stage are, and how long they will take."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator

from tqdm import tqdm

from transforms.inference.models import Model, amount, cost
from transforms.inference.requests import Completion, Failure, Response, TokenScores

QUIET_SECONDS = 300  # between lines of progress where nobody watches

_SHAPE = "{{desc}}: {{n_fmt}}/{{total_fmt}} requests{{postfix}} [{{elapsed}} gone{left}]"


def num_tokens(response: Response) -> int:
    """Tokens generated, or scored."""
    if isinstance(response, Completion):
        return response.num_tokens
    return len(response.starts) if isinstance(response, TokenScores) else 0


def num_prompt_tokens(response: Response) -> int:
    """Tokens read before the answer; of scores they are not known."""
    return response.num_prompt_tokens if isinstance(response, Completion) else 0


class Progress:
    """How far a stage is, on stderr; where that is no terminal, a line every five minutes.

    generate: 34/144 requests, 12 from the cache, 512 tok/s in, 79 tok/s out, 2 failed (2 timeout), cost 0.12 [1:20 gone, 4:12 left]
    """

    def __init__(self, label: str, total: int, model: Model):
        self._model = model
        self._cached = self._answered = self._tokens = self._prompt_tokens = 0
        self._failures: Counter[str] = Counter()
        self._started: float | None = None
        terminal = sys.stderr.isatty()
        seconds = 0.5 if terminal else QUIET_SECONDS
        self._bar = tqdm(
            total=total, desc=label, file=sys.stderr if terminal else _Lines(), bar_format=_SHAPE.format(left=""),
            dynamic_ncols=terminal, mininterval=seconds, maxinterval=max(seconds, 1), leave=True,
        )  # fmt: skip

    def cached(self, count: int) -> None:
        """The cache answered `count` requests."""
        self._cached += count
        self.repeated(count)

    def repeated(self, count: int) -> None:
        """`count` requests need no model: the cache has them, or they are asked once for several rows."""
        self._bar.initial += count  # so that the time left counts only what is asked
        self._bar.update(count)
        self._refresh()

    def more(self, count: int) -> None:
        """`count` requests come beside those expected, or fewer where it is negative."""
        self._bar.total += count

    def asking(self) -> None:
        """The engine is ready: time counts from here."""
        if self._started is None:
            self._started = time.monotonic()
            self._bar.start_t = self._bar.last_print_t = time.time()

    def answered(self, response: Response) -> None:
        """The model answered one request."""
        self._answered += 1
        if self._answered == 8:  # before, the time left would be a guess from the shortest answers
            self._bar.bar_format = _SHAPE.format(left=", {remaining} left")
        self._tokens += num_tokens(response)
        self._prompt_tokens += num_prompt_tokens(response)
        if isinstance(response, Failure):
            self._failures[response.kind] += 1
        self._refresh()
        self._bar.update(1)
        if sys.stderr.isatty() and self._bar.n >= self._bar.total:
            self._bar.refresh()

    def _refresh(self) -> None:
        self._bar.set_postfix_str(", ".join(self._parts()), refresh=False)

    def _parts(self) -> Iterator[str]:
        yield f"{self._cached} from the cache"
        seconds = time.monotonic() - self._started if self._started else 0
        if seconds > 1:
            if self._prompt_tokens:
                yield f"{self._prompt_tokens / seconds:.0f} tok/s in"
            yield f"{self._tokens / seconds:.0f} tok/s" + (" out" if self._prompt_tokens else "")
        if self._failures:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self._failures.items()))
            yield f"{self._failures.total()} failed ({kinds})"
        if spent := cost(self._model, self._prompt_tokens, self._tokens):
            yield f"cost {amount(spent)}"


class _Lines:
    """stderr that is not a terminal: now and then a state of the bar becomes a line of its own; of short work none does."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def write(self, text: str) -> None:
        stripped = text.strip("\r\n \x1b[A")
        if stripped and time.monotonic() - self._last >= QUIET_SECONDS:
            sys.stderr.write(stripped + "\n")
            self._last = time.monotonic()

    def flush(self) -> None:
        sys.stderr.flush()
