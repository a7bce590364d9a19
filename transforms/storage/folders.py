"""A stage's folder: parts, drops, and the manifest that says they are all there.

    pruned/asap/part-00000.parquet   rows, zstd
    pruned/asap/drops.parquet        every row that ended here: id, stage, reason, detail
    pruned/asap/manifest.json        written last: config, code, inputs, counts, sha256 of each part
    pruned/asap/_work/               while unfinished: the fingerprint, and a receipt for each part

A part counts as finished when its receipt is there, and the receipt is written after the part. The
fingerprint says what the parts were made from; if it differs, unfinished work is thrown away.
Nothing here depends on the time, the host or the order in which parts were made.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from transforms.core import schema
from transforms.core.drops import Drop
from transforms.core.errors import InputError
from transforms.core.hashing import canonical_json, fingerprint
from transforms.storage import files as storage
from transforms.storage.parts import open_parquet, part_name, to_parquet

FORMAT = 2  # counted up when rows or manifest are stored otherwise than before; 1 had none
MANIFEST = "manifest.json"
DROPS = "drops.parquet"
WORK = "_work"
SPLITS = ("train", "validation")
PARTS = ("part-*.parquet", "*/part-*.parquet")


@dataclass(frozen=True)
class Receipt:
    """What became of one shard. `files` maps a part's path in the folder to (rows, sha256).

    Of each row read come one or more outcomes (one trace for each sample): rows kept, or drops.
    """

    index: int
    rows_read: int
    outcomes: int
    rows_kept: int
    files: dict[str, tuple[int, str]]
    drops: tuple[Drop, ...] = field(default=())


@dataclass(frozen=True)
class StageFolder:
    """One stage's output, on any filesystem; `made_by` is the command that makes it, for messages."""

    path: str
    made_by: str = ""

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None while the folder is unfinished."""
        name = storage.join(self.path, MANIFEST)
        if not storage.exists(name):
            return None
        try:
            manifest = json.loads(storage.read_bytes(name))
        except ValueError:
            return None  # not ours: a manifest is written whole or not at all
        return manifest if isinstance(manifest, dict) and {"rows", "parts", "drops"} <= set(manifest) else None

    def finished_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            InputError: the stage that writes this folder has not finished, or was one of another version.
        """
        manifest = self.manifest()
        command = f"`{self.made_by}`" if self.made_by else "the stage that writes it"
        if manifest is None:
            raise InputError(f"{self.path} is not finished: run {command} first, or `dvc repro`")
        if not is_of_this_version(manifest):
            raise InputError(
                f"{self.path} was written by another version of this package: run {command} again, or `dvc repro`; "
                "no model is asked again for what is in the cache"
            )
        return manifest

    def is_begun(self) -> bool:
        """Whether there is unfinished work in it."""
        return self.manifest() is None and storage.exists(storage.join(self.path, WORK, "fingerprint"))

    def begin(self, about: dict[str, Any]) -> set[int]:
        """Prepares the folder for work made from `about`; returns the indices of parts already finished.

        Whatever was made from something else is deleted.
        """
        print_now = fingerprint(about)
        name = storage.join(self.path, WORK, "fingerprint")
        if self.manifest() is None and storage.exists(name) and storage.read_bytes(name).decode() == print_now:
            self.tidy()
            return {receipt.index for receipt in self.receipts() if not self._damaged(receipt.files)}
        self.clear()
        storage.write_bytes(name, print_now.encode())
        return set()

    def clear(self) -> None:
        """Deletes what a stage writes here and nothing else: first what says that parts are finished."""
        storage.delete([storage.join(self.path, WORK), storage.join(self.path, MANIFEST)])
        parts = [path for pattern in PARTS for path in storage.list_files(self.path, pattern)]
        storage.delete([*parts, storage.join(self.path, DROPS)])
        self.tidy()

    def tidy(self) -> None:
        """Deletes what a killed process left half written, and the work folder of a finished stage."""
        places = [self.path, storage.join(self.path, WORK), *(storage.join(self.path, split) for split in SPLITS)]
        storage.delete([path for place in places for path in storage.list_files(place, f"{storage.WRITING}*")])
        if self.manifest() is not None:
            storage.delete([storage.join(self.path, WORK)])

    def write(
        self,
        index: int,
        rows_read: int,
        tables: dict[str, pa.Table],
        drops: Sequence[Drop],
        outcomes: int | None = None,
    ) -> Receipt:
        """Writes the part files of shard `index`, one a key of `tables` ("" or a subfolder), then its receipt.

        `outcomes` is `rows_read` unless given.
        """
        files = {}
        for split, table in tables.items():
            name = f"{split}/{part_name(index)}" if split else part_name(index)
            data = to_parquet(table)
            storage.write_bytes(self._file(name), data)
            files[name] = (table.num_rows, hashlib.sha256(data).hexdigest())
        receipt = Receipt(
            index,
            rows_read,
            rows_read if outcomes is None else outcomes,
            sum(table.num_rows for table in tables.values()),
            files,
            tuple(drops),
        )
        storage.write_bytes(
            storage.join(self.path, WORK, f"{index:05d}.json"), canonical_json(asdict(receipt)).encode()
        )
        return receipt

    def receipts(self) -> list[Receipt]:
        """The receipts of finished parts, by index."""
        found = (
            json.loads(storage.read_bytes(path)) for path in storage.list_files(storage.join(self.path, WORK), "*.json")
        )
        receipts = [
            Receipt(
                index=values["index"],
                rows_read=values["rows_read"],
                outcomes=values["outcomes"],
                rows_kept=values["rows_kept"],
                files={name: (rows, sha256) for name, (rows, sha256) in values["files"].items()},
                drops=tuple(Drop(**drop) for drop in values["drops"]),
            )
            for values in found
        ]
        return sorted(receipts, key=lambda receipt: receipt.index)

    def finish(self, about: dict[str, Any], num_shards: int) -> dict[str, Any]:
        """Writes drops.parquet and, last, the manifest; returns the manifest.

        Raises:
            AssertionError: a shard has no receipt, or an outcome was neither kept nor dropped.
        """
        receipts = self.receipts()
        assert [receipt.index for receipt in receipts] == list(range(num_shards)), f"{self.path}: shards without a part"
        drops = [drop for receipt in receipts for drop in receipt.drops]
        read, kept = sum(r.rows_read for r in receipts), sum(r.rows_kept for r in receipts)
        outcomes = sum(receipt.outcomes for receipt in receipts)
        assert outcomes == kept + len(drops), f"{self.path}: {outcomes} outcomes, {kept} kept, {len(drops)} dropped"
        dropped = to_parquet(schema.to_table(Drop, drops))
        storage.write_bytes(storage.join(self.path, DROPS), dropped)
        manifest = {
            **about,
            "format": FORMAT,
            "rows": {
                "read": read,
                "outcomes": outcomes,
                "kept": kept,
                "dropped": dict(sorted(Counter(drop.reason for drop in drops).items())),
            },
            "parts": [
                {"name": name, "rows": rows, "sha256": sha256}
                for receipt in receipts
                for name, (rows, sha256) in sorted(receipt.files.items())
            ],
            "drops": {"name": DROPS, "rows": len(drops), "sha256": hashlib.sha256(dropped).hexdigest()},
        }
        storage.write_bytes(
            storage.join(self.path, MANIFEST),
            (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode(),
        )
        storage.delete([storage.join(self.path, WORK)])
        return manifest

    def num_rows(self) -> int:
        """Rows in all parts. Raises InputError if unfinished."""
        return sum(part["rows"] for part in self.finished_manifest()["parts"])

    def counts(self, column: str) -> dict[str, int]:
        """How often each value of a column is in the parts, by value. Raises InputError if unfinished."""
        return dict(sorted(Counter(value for (value,) in self.columns(column)).items()))

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The values of some columns, row by row, without reading the others. Raises InputError if unfinished."""
        for path in self.part_paths():
            with storage.open_read(path) as file:
                table = open_parquet(file).read(columns=list(names), use_threads=False)
            yield from zip(*(table[name].to_pylist() for name in names), strict=True)

    def drops_path(self) -> str:
        """Where the drops are, once the stage has finished."""
        return storage.join(self.path, DROPS)

    def part_paths(self) -> list[str]:
        """Paths of all parts, in the manifest's order. Raises InputError if unfinished."""
        return [self._file(part["name"]) for part in self.finished_manifest()["parts"]]

    def content(self) -> str:
        """sha256 over the parts' checksums: what the rows are, whatever made them. Raises InputError if unfinished."""
        return _content(self.finished_manifest())

    def damage(self) -> list[str]:
        """Names of files that are missing or whose bytes are not those the manifest lists."""
        manifest = self.finished_manifest()
        return self._damaged(
            {file["name"]: (file["rows"], file["sha256"]) for file in [*manifest["parts"], manifest["drops"]]}
        )

    def _file(self, name: str) -> str:
        return storage.join(self.path, *name.split("/"))

    def _damaged(self, files: dict[str, tuple[int, str]]) -> list[str]:
        bad = []
        for name, (_, sha256) in files.items():
            path = self._file(name)
            if not storage.exists(path) or storage.sha256_file(path) != sha256:
                bad.append(name)
        return bad


def is_of_this_version(manifest: dict[str, Any]) -> bool:
    """Whether rows and manifest are stored as they are now."""
    return manifest.get("format") == FORMAT


def lineage(given: dict[str, StageFolder]) -> dict[str, str]:
    """The content of the given folders and of all they were made from.

    Raises:
        InputError: two of them were made from different runs of the same stage, so their rows do not belong together.
    """
    found: dict[str, str] = {}
    first: dict[str, str] = {}  # the folder that says so
    manifests = {name: folder.finished_manifest() for name, folder in given.items()}
    contents = {name: _content(manifest) for name, manifest in manifests.items()}
    for name, folder in given.items():
        for ancestor, content in (manifests[name]["inputs"] | {name: contents[name]}).items():
            if contents.get(ancestor, content) != content:
                raise InputError(
                    f"{folder.path} was made from an earlier {given[ancestor].path}: run `{folder.made_by}` again, or `dvc repro`"
                )
            if ancestor != "sources" and found.setdefault(ancestor, content) != content:
                raise InputError(
                    f"{folder.path} and {first[ancestor]} belong to different runs of {ancestor}: run the stages in between again, or `dvc repro`"
                )
            first.setdefault(ancestor, folder.path)
    return found


def is_changed(folder: StageFolder, content: str) -> bool:
    """Whether there is something else in a finished folder than `content`."""
    manifest = folder.manifest()
    return manifest is not None and _content(manifest) != content


def _content(manifest: dict[str, Any]) -> str:
    return fingerprint({"parts": manifest["parts"]})
