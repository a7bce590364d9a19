"""The errors a user can meet, split by what they should do about it.

    UserError                 a message that says what to do, never a traceback
    ├── ConfigError           exit code 2: fix params.yaml, --set or the command line
    └── StageError            exit code 1
        ├── InputError        a source or an earlier stage's folder is missing or unreadable
        ├── ModelError        a model cannot be fetched, checked, converted or loaded
        ├── SandboxError      code of a model cannot be run safely here
        └── StorageError      the disk is full or not writable

Beam wraps what a worker raises in a RuntimeError whose text is a traceback. `mark` writes a user
error so that `unmark` finds it again in that text, on any runner.
"""

from __future__ import annotations

import base64
import re

_MARK = re.compile(r"<<user-error:(\w+):([A-Za-z0-9+/=]*)>>")


class UserError(Exception):
    """What went wrong and what to do, in one line."""

    exit_code = 1


class ConfigError(UserError):
    """A wrong key, type, range or combination; the message names key, value and what is allowed."""

    exit_code = 2


class StageError(UserError):
    """A stage cannot go on."""


class InputError(StageError):
    """A source or an earlier stage's output is missing or unreadable."""


class ModelError(StageError):
    """A model cannot be fetched, checked, converted or loaded."""


class SandboxError(StageError):
    """Code of a model cannot be run safely on this machine."""


class StorageError(StageError):
    """An output cannot be written."""


_KINDS = (UserError, ConfigError, StageError, InputError, ModelError, SandboxError, StorageError)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


def mark(error: UserError) -> str:
    """The error as text that survives being quoted inside another exception's traceback."""
    return f"<<user-error:{type(error).__name__}:{base64.b64encode(str(error).encode()).decode()}>>"


def unmark(text: str) -> UserError | None:
    """The first user error marked in `text`, or None."""
    found = _MARK.search(text)
    if found is None:
        return None
    return _BY_NAME[found[1]](base64.b64decode(found[2]).decode())
