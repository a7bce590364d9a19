"""Files that commands write for people."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa

from transforms.storage import files as storage


@contextmanager
def text_writer(path: str, target: str) -> Iterator[IO[str]]:
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
