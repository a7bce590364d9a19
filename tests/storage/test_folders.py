"""A folder is finished when its manifest says so, and work made from something else is not trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from transforms.core import schema
from transforms.core.drops import Drop
from transforms.core.errors import InputError
from transforms.core.records import Message
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_part

ABOUT = {"stage": "test", "config": {"a": 1}}


def write(folder: StageFolder, index: int, drops: int = 0) -> None:
    rows = [Message("user", f"{index}-{row}") for row in range(3)]
    folder.write(index, 3 + drops, {"": schema.to_table(Message, rows)}, [Drop(f"{index}", "test", "odd", "")] * drops)


def test_a_finished_folder(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path / "out"))
    assert folder.begin(ABOUT) == set()
    write(folder, 0)
    write(folder, 1, drops=2)
    manifest = folder.finish(ABOUT, 2)
    assert manifest["rows"] == {"read": 8, "outcomes": 8, "kept": 6, "dropped": {"odd": 2}}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "drops.parquet",
        "manifest.json",
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert pq.ParquetFile(tmp_path / "out" / "part-00000.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    assert [drop.id for drop in read_part(Drop, str(tmp_path / "out" / "drops.parquet"))] == ["1", "1"]
    assert folder.damage() == []


def test_unfinished_work_goes_on_only_if_made_from_the_same(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path))
    folder.begin(ABOUT)
    write(folder, 1)
    assert folder.begin(ABOUT) == {1}
    assert folder.begin({**ABOUT, "config": {"a": 2}}) == set()
    assert not list(tmp_path.glob("*.parquet"))


def test_a_receipt_without_its_part_is_not_trusted(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path))
    folder.begin(ABOUT)
    for number in range(3):
        write(folder, number)
    (tmp_path / "part-00000.parquet").unlink()
    (tmp_path / "part-00001.parquet").write_bytes(b"garbage")
    assert folder.begin(ABOUT) == {2}


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path))
    folder.begin(ABOUT)
    write(folder, 0)
    (tmp_path / ".writing-abc").write_bytes(b"half")
    (tmp_path / "_work" / ".writing-abc").write_bytes(b"half")
    assert folder.begin(ABOUT) == {0}
    folder.finish(ABOUT, 1)
    (tmp_path / "_work").mkdir()
    folder.tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drops.parquet", "manifest.json", "part-00000.parquet"]


def test_a_manifest_that_is_none_means_unfinished(tmp_path: Path) -> None:
    for text in ("{", "[]", "{}"):
        (tmp_path / "manifest.json").write_text(text)
        assert StageFolder(str(tmp_path)).manifest() is None


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path / "d[1] *"))
    folder.begin(ABOUT)
    write(folder, 0)
    assert folder.finish(ABOUT, 1)["rows"]["kept"] == 3


def test_only_our_own_files_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mine.parquet").write_text("mine")
    folder = StageFolder(str(tmp_path))
    folder.begin(ABOUT)
    write(folder, 0)
    folder.clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.parquet", "notes.txt"]


def test_a_row_that_vanished_or_a_missing_part_stops_the_stage(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path))
    folder.begin(ABOUT)
    folder.write(0, 4, {"": schema.to_table(Message, [Message("user", "x")])}, [])
    with pytest.raises(AssertionError, match="4 outcomes, 1 kept, 0 dropped"):
        folder.finish(ABOUT, 1)
    with pytest.raises(AssertionError, match="without a part"):
        folder.finish(ABOUT, 2)
    assert folder.manifest() is None


def test_reading_an_unfinished_or_damaged_folder_says_what_to_do(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path))
    with pytest.raises(InputError, match="run the stage that writes it first"):
        folder.part_paths()
    folder.begin(ABOUT)
    write(folder, 0)
    folder.finish(ABOUT, 1)
    part = tmp_path / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    assert folder.damage() == ["part-00000.parquet"]
    with pytest.raises(InputError, match="damaged or from another version"):
        list(read_part(Message, str(part)))
    part.unlink()
    (tmp_path / "drops.parquet").unlink()
    assert folder.damage() == ["part-00000.parquet", "drops.parquet"]


def test_reading_leaves_no_thread_that_could_abort_the_process_at_its_end(tmp_path: Path) -> None:
    """Arrow's reading threads call Python's files; one that did so while the interpreter ended aborted a finished stage."""
    folder = StageFolder(str(tmp_path / "out"))
    folder.begin(ABOUT)
    write(folder, 0)
    folder.finish(ABOUT, 1)
    program = f"""
import os
from transforms import sources
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_part
from transforms.sources.base import Parquet
from transforms.core.records import Message

def threads():
    return len(os.listdir("/proc/self/task"))

folder = StageFolder({str(tmp_path / "out")!r})
part = folder.part_paths()[0]
before = threads()
assert len(list(read_part(Message, part))) == len(list(folder.columns("role"))) == 3
fields = {{"question": "content", "answer": "role"}}
slices, _ = sources.plan(Parquet(kind="parquet", path=part, fields=fields), seed=17, shard_rows=500)
assert len(list(sources.read(slices[0]))) == 3
print(threads() - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


def test_a_folder_of_another_version_says_how_to_make_it_again(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path), "python -m pipeline prune --method asap")
    folder.begin(ABOUT)
    write(folder, 0)
    folder.finish(ABOUT, 1)
    older = json.loads((tmp_path / "manifest.json").read_text())
    del older["format"]
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    with pytest.raises(
        InputError, match=r"another version of this package: run `python -m pipeline prune --method asap`"
    ):
        folder.part_paths()
