"""`python -m pipeline cache stats|verify|prune|export`: looks after the answers in data/cache.

The functions return what the commands print, and change nothing unless `prune` is told to delete.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from pipeline.commands.writing import check_new, lines
from pipeline.paths import Paths
from transforms.core.errors import InputError
from transforms.inference import cache
from transforms.inference.cache import Damaged, Entry
from transforms.inference.requests import Completion, Failure, TokenScores
from transforms.storage import files as storage


@dataclass
class Counts:
    """What a cache has of one model."""

    completions: int = 0
    scores: int = 0
    cut: int = 0
    empty: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, entry: Entry) -> None:
        """Counts an entry."""
        response = entry.response
        if isinstance(response, Failure):
            self.failures[response.kind] += 1
        elif isinstance(response, TokenScores):
            self.scores += 1
            self.tokens += len(response.starts)
        else:
            self.completions += 1
            self.cut += is_cut(entry)
            self.empty += is_empty(entry)
            self.prompt_tokens += response.num_prompt_tokens
            self.tokens += response.num_tokens


def model_name(entry: Entry) -> str:
    """The model's name as params give it, or the checksum of its folder."""
    identity = entry.model
    name = identity.get("model") or identity.get("endpoint") or str(identity.get("folder_sha256", ""))[:12]
    return name or next(iter(identity), "?")


def is_cut(entry: Entry) -> bool:
    """Whether the completion ran into its token limit."""
    return isinstance(entry.response, Completion) and entry.response.finish_reason == "length"


def is_empty(entry: Entry) -> bool:
    """Whether the completion says nothing."""
    return isinstance(entry.response, Completion) and not (entry.response.text + entry.response.reasoning).strip()


def stats(paths: Paths) -> tuple[dict[str, Counts], list[Damaged]]:
    """Counts of each model, by its name, and the damaged entries."""
    found: defaultdict[str, Counts] = defaultdict(Counts)
    damaged = []
    for entry in _entries(paths):
        if isinstance(entry, Damaged):
            damaged.append(entry)
        else:
            found[model_name(entry)].add(entry)
    return dict(sorted(found.items())), damaged


def show(paths: Paths) -> None:
    """Prints the counts as a table."""
    counts, damaged = stats(paths)
    table = Table("model", "answers", "tokens in", "tokens out", "cut", "empty", "failed", box=SIMPLE_HEAD)
    for column in table.columns[1:6]:
        column.justify = "right"
    for name, one in counts.items():
        failed = ", ".join(f"{count} {kind}" for kind, count in sorted(one.failures.items()))
        numbers = (one.completions + one.scores, one.prompt_tokens, one.tokens, one.cut, one.empty)
        table.add_row(name, *(f"{number:,}" for number in numbers), failed)
    Console().print(table)
    print(f"{paths.cache}: {sum(one.completions + one.scores for one in counts.values()):,} answers")
    if damaged:
        print(f"{len(damaged)} damaged entries: `python -m pipeline cache verify` lists them")


def verify(paths: Paths) -> list[Damaged]:
    """Prints each damaged entry; returns them."""
    number, damaged = 0, []
    for entry in _entries(paths):
        number += 1
        if isinstance(entry, Damaged):
            damaged.append(entry)
            print(f"{entry.path}: {entry.reason}")
    print(f"{number:,} entries, {len(damaged)} damaged" + ("; they are asked again when wanted" if damaged else ""))
    return damaged


def prune(paths: Paths, model: str, kinds: Iterable[str], older_than_days: float | None, delete: bool) -> int:
    """Deletes, or only counts, what meets all conditions; returns how many entries.

    Args:
        paths: where the cache is.
        model: a model's name, or "" for all.
        kinds: of `KINDS`; none for all.
        older_than_days: by the time of the file, or None.
        delete: whether to delete.
    """
    wanted = [KINDS[kind] for kind in kinds]
    chosen = []
    for entry in _entries(paths):
        if model and (isinstance(entry, Damaged) or model_name(entry) != model):
            continue
        if wanted and not any(is_kind(entry) for is_kind in wanted):
            continue
        if older_than_days is not None and time.time() - storage.modified_unix(entry.path) < older_than_days * 86_400:
            continue
        chosen.append(entry.path)
    if delete:
        storage.delete(chosen)
    print(f"{len(chosen):,} entries " + ("deleted" if delete else "would be deleted; add --yes to do it"))
    return len(chosen)


KINDS: dict[str, Callable[[Entry | Damaged], bool]] = {
    "damaged": lambda entry: isinstance(entry, Damaged),
    "failed": lambda entry: isinstance(entry, Entry) and isinstance(entry.response, Failure),
    "cut": lambda entry: isinstance(entry, Entry) and is_cut(entry),
    "empty": lambda entry: isinstance(entry, Entry) and is_empty(entry),
}


def export(paths: Paths, target: str, model: str) -> int:
    """Writes each answer as a line of JSON (model, request, response); returns how many. `.gz` and `.zst` are compressed.

    Raises:
        ConfigError: the target exists.
    """
    check_new(target)
    number = 0
    with lines(target) as file:
        for entry in _entries(paths):
            if isinstance(entry, Damaged) or isinstance(entry.response, Failure):
                continue
            if model and model_name(entry) != model:
                continue
            line = {"model": entry.model, "request": entry.request, "response": asdict(entry.response)}
            file.write(json.dumps(line, ensure_ascii=True) + "\n")
            number += 1
    print(f"{number:,} answers in {target}", file=sys.stderr)
    return number


def _entries(paths: Paths) -> Iterator[Entry | Damaged]:
    if not storage.is_local(paths.cache) or storage.exists(paths.cache):
        yield from tqdm(cache.entries(paths.cache), desc="cache", unit=" entries", leave=False, disable=None)
    else:
        raise InputError(f"there is no cache in {paths.data}: name the data folder with --data")
