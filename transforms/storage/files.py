"""Bytes in and out, on a local disk or on any filesystem Beam reaches (gs://, s3://, hdfs://).

A file is either whole or absent: on a local disk it is written beside its place and renamed; object
stores show an object only when its upload ends.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.core.errors import ConfigError, InputError, StorageError

CHUNK = 1 << 20
WRITING = ".writing-"  # how files begin that are not whole yet; a killed process may leave one


def is_local(path: str) -> bool:
    """Whether the path has no scheme."""
    return "://" not in path


def join(folder: str, *names: str) -> str:
    """A path below `folder`, on its filesystem."""
    return FileSystems.join(folder, *names)


def open_read(path: str, compression: str = CompressionTypes.UNCOMPRESSED) -> BinaryIO:
    """The file opened for reading; `CompressionTypes.AUTO` unpacks .gz, .bz2 and .zst by name.

    Raises:
        InputError: it is not there or cannot be read.
    """
    try:
        return FileSystems.open(path, compression_type=compression)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def read_bytes(path: str) -> bytes:
    """The whole file. Raises InputError."""
    with open_read(path) as file:
        return file.read()


def read_if_there(path: str) -> bytes | None:
    """The whole file, or None if it is not there. Raises InputError."""
    if not is_local(path):
        return read_bytes(path) if exists(path) else None
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from error


def write_bytes(path: str, data: bytes) -> None:
    """Writes the file whole or not at all.

    Raises:
        StorageError: no space, or no permission.
    """
    _write(path, data, os.replace)


def write_new(path: str, data: bytes) -> bool:
    """Writes the file whole, unless it is there; returns whether it was written.

    Of several processes that try at the same time one wins, on a local disk; on an object store the last one does.
    Raises StorageError.
    """
    if exists(path):
        return False
    try:
        _write(path, data, _link)
    except FileExistsError:
        return False
    return True


def _link(temporary: str, path: str) -> None:
    """Gives the file its name if no other has it, where the filesystem can do that."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links there
        os.replace(temporary, path)
    else:
        os.unlink(temporary)


def _write(path: str, data: bytes, give_name: Callable[[str, str], None]) -> None:
    try:
        if not is_local(path):
            with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                file.write(data)
            return
        folder = os.path.dirname(path) or "."
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=WRITING, dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            give_name(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except FileExistsError:
        raise
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: str, error: OSError) -> StorageError:
    """The error in words: what is full or closed, and what to do."""
    if error.errno == errno.ENOSPC:
        return StorageError(
            f"the disk is full while writing {path}: free some space and run the command again; it continues where it stopped"
        )
    return StorageError(f"cannot write {path}: {error.strerror or error}")


def check(path: str) -> None:
    """Raises ConfigError if no filesystem is known for the path."""
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        raise ConfigError(
            f"{path!r}: no filesystem is installed for it ({error}); gs:// needs pip install -e '.[gcp]'"
        ) from error


def exists(path: str) -> bool:
    """Whether a file or folder is there."""
    if is_local(path):
        return os.path.exists(path)
    return bool(FileSystems.exists(path))


def modified_unix(path: str) -> float:
    """When the file was written, in seconds since 1970. Raises InputError."""
    try:
        return os.path.getmtime(path) if is_local(path) else float(FileSystems.last_updated(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from error


def list_files(folder: str, pattern: str = "*") -> list[str]:
    """Paths of the files in `folder` that match, sorted by name; none if the folder is not there."""
    if is_local(folder):  # the folder's own name may hold * or [
        return sorted(str(path) for path in Path(folder).glob(pattern) if path.is_file())
    matches = FileSystems.match([join(folder, pattern)])[0].metadata_list
    return sorted(found.path for found in matches)


def delete(paths: list[str]) -> None:
    """Deletes files and folders; what is not there is no error. Raises StorageError."""
    for path in paths:
        if not is_local(path):  # an object store has no folders, only objects whose names start alike
            below = FileSystems.match([join(path, "**")])[0].metadata_list
            if objects := [found.path for found in below] + [path] * exists(path):
                FileSystems.delete(objects)
        elif exists(path):
            try:
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
            except OSError as error:
                raise storage_error(path, error) from error


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of the file in pieces of at most CHUNK bytes."""
    while data := file.read(CHUNK):
        yield data


def sha256_file(path: str) -> str:
    """Hex sha256 of a file's bytes, in bounded memory. Raises InputError."""
    digest = hashlib.sha256()
    with open_read(path) as file:
        for data in chunks(file):
            digest.update(data)
    return digest.hexdigest()
