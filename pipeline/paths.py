"""Where everything is, below the data folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pipeline.graph import OF_FOLDER
from transforms.core.errors import ConfigError
from transforms.storage import files as storage
from transforms.storage.folders import StageFolder


@dataclass(frozen=True)
class Paths:
    """The folders of one data set. `data` is a local folder, or a URI of a filesystem Beam reaches.

    Round 1 is in `data` itself, round r > 1 in `data/round-r`; models and cache are shared by all rounds.
    """

    data: str = "data"
    round: int = 1

    def __post_init__(self) -> None:
        """Raises ConfigError if `data` is already the folder of a round."""
        if self.round > 1 and re.search(r"(^|/)round-\d+[/.]*$", self.data):
            raise ConfigError(
                f"--data {self.data}: name the folder of all rounds; round-{self.round} below it is taken for base.round: {self.round}"
            )

    def stage(self, name: str, method: str = "") -> str:
        """A stage's folder; `name` is the folder's, not the stage's: "traces", or "pruned/asap"."""
        return storage.join(self._of(self.round), *name.split("/"), *([method] if method else []))

    def folder(self, name: str, method: str = "") -> StageFolder:
        """The same as a folder that knows its command."""
        first, _, rest = name.partition("/")
        stage = OF_FOLDER[first]
        of_method = f" --method {method or rest}" if stage.per == "method" else ""
        return StageFolder(self.stage(name, method), f"python -m pipeline {stage.name}{of_method}")

    @property
    def models(self) -> str:
        """Package models, always on the local disk."""
        return os.path.join(self.data, "models") if storage.is_local(self.data) else os.path.join("data", "models")

    @property
    def needs(self) -> str:
        """What DVC cannot work out, beside the models."""
        return os.path.join(os.path.dirname(self.models), "needs")

    @property
    def cache(self) -> str:
        """Answers of teachers and scorers, shared by all stages and rounds."""
        return storage.join(self.data, "cache")

    @property
    def teacher(self) -> str:
        """Where the model that was trained on the previous round's shards is put; of rounds after the first."""
        return storage.join(self._of(self.round - 1), "student")

    def log(self, stage: str, method: str = "") -> str:
        """Times, throughput and host of a stage's last run."""
        return storage.join(self._of(self.round), "logs", f"{stage}-{method}.json" if method else f"{stage}.json")

    def _of(self, round: int) -> str:
        return self.data if round == 1 else storage.join(self.data, f"round-{round}")
