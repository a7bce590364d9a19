"""Folders on an object store: a filesystem without folders and without renaming, as gs:// is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem

from pipeline.commands import cache
from pipeline.params import load
from pipeline.paths import Paths
from pipeline.run import run_stage
from pipeline.stages.base import Context
from tests.conftest import STAGES, digests
from transforms.core.errors import ConfigError
from transforms.storage import files as storage

OBJECTS: dict[str, bytes] = {}


class _Upload(io.BytesIO):
    """An object that shows when its upload ends."""

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def close(self) -> None:
        if not self.closed:
            OBJECTS[self.path] = self.getvalue()
        super().close()


class ObjectStore(FileSystem):
    """Found by Beam through its scheme."""

    @classmethod
    def scheme(cls) -> str:
        return "objects"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        pass

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        return (FileMetadata(path, len(data)) for path, data in list(OBJECTS.items()) if path.startswith(dir_or_prefix))

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> Any:
        return _Upload(path)

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> Any:
        if path not in OBJECTS:
            raise OSError(f"no object {path}")
        return io.BytesIO(OBJECTS[path])

    def exists(self, path: str) -> bool:
        return path in OBJECTS

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            del OBJECTS[path]

    def copy(self, source_file_names: Any, destination_file_names: Any) -> None:
        raise AssertionError("object stores copy slowly; nothing here should")

    rename = copy

    def size(self, path: str) -> int:
        return len(OBJECTS[path])

    last_updated = checksum = size

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(OBJECTS[path]))


@pytest.mark.slow  # all stages, twice
def test_all_stages_on_an_object_store_give_the_bytes_of_a_local_disk(fake_params: Path, tmp_path: Path) -> None:
    OBJECTS.clear()
    remote, local = Paths("objects://bucket/run"), Paths(str(tmp_path / "local"))
    for overrides in (["ingest.sources.0.size=60"], []):  # the second run has fewer parts: none of the first may stay
        for stage in STAGES:
            run_stage(stage, Context(load(str(fake_params), overrides), remote))
    for stage in STAGES:
        run_stage(stage, Context(load(str(fake_params)), local))
    there = {path.removeprefix("objects://bucket/run/"): data for path, data in OBJECTS.items()}
    stages = {path: data for path, data in there.items() if path.split("/")[0] not in ("cache", "logs")}
    assert sorted(stages) == sorted(digests(tmp_path / "local"))
    for path, data in stages.items():
        assert data == (tmp_path / "local" / path).read_bytes()
    (counts,) = cache.stats(remote)[0].values()
    assert counts.completions > 135  # of both runs
    damaged = min(path for path in OBJECTS if "/cache/" in path)
    OBJECTS[damaged] = OBJECTS[damaged][:-5]
    assert [entry.path for entry in cache.verify(remote)] == [damaged]
    assert cache.prune(remote, "", ["damaged"], None, delete=True) == 1
    assert cache.verify(remote) == []


def test_a_path_without_a_filesystem_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="no filesystem is installed for it"):
        storage.check("nothing://bucket/x")
