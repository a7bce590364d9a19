"""Files that commands write for people."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from transforms.core.errors import ConfigError
from transforms.storage import files as storage


def check_new(target: str) -> None:
    """Raises ConfigError unless `target` is a new file on this disk, or "-" for the terminal."""
    if target != "-" and (not storage.is_local(target) or storage.exists(target)):
        raise ConfigError(f"{target} exists, or is not on this disk: name another file")


@contextmanager
def whole_or_none(target: str) -> Iterator[str]:
    """A path to write to, which becomes `target` at the end; after an error nothing is left of it."""
    unfinished = f"{target}.unfinished"
    try:
        yield unfinished
        os.replace(unfinished, target)
    finally:
        Path(unfinished).unlink(missing_ok=True)


@contextmanager
def lines(target: str) -> Iterator[IO[str]]:
    """The terminal for "-", else the file `target`, whole or not at all. Raises StorageError, also while it is written."""
    if target == "-":
        yield sys.stdout
        return
    with whole_or_none(target) as unfinished, _text_writer(unfinished, target) as file:
        yield file


@contextmanager
def _text_writer(path: str, target: str) -> Iterator[IO[str]]:
    """The file at `path`, compressed as the name of `target` says. Raises StorageError, also while it is written."""
    try:
        if target.endswith(".zst"):
            with io.TextIOWrapper(pa.CompressedOutputStream(path, "zstd"), encoding="utf-8") as file:
                yield file
        else:
            with (
                gzip.open(path, "wt", encoding="utf-8")
                if target.endswith(".gz")
                else open(path, "w", encoding="utf-8") as file
            ):
                yield file
    except OSError as error:
        raise storage.storage_error(path, error) from error
