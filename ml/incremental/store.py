"""The learner's state on the disk: in the bundle store, digest-checked, replaced as a whole or not at all.

`incremental/current.json` names a directory and its digest; the directory appears before it is named, and older ones go
after. Nothing is unpickled before its digest has been compared.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import Final

import joblib
from sklearn.exceptions import InconsistentVersionWarning

from config.errors import BundleRefused
from ml.bundle_files import read_files, read_manifest, write_files
from ml.incremental.learner import State

FOLDER: Final = "incremental"
CURRENT: Final = "current.json"
PICKLE: Final = "state.joblib"


def save_state(model_dir: Path, state: State) -> None:
    """Put `state` in the place of the one before. A crash leaves the old one or the new one."""
    folder = model_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pickled = io.BytesIO()
    joblib.dump(state, pickled, compress=1)
    name = f"state-{state.steps:08}-{uuid.uuid4().hex[:8]}"
    digest = write_files(folder / name, {PICKLE: pickled.getvalue()}, {"schema_digest": state.schema_digest})
    staged = folder / f".{CURRENT}.{os.getpid()}"
    staged.write_text(json.dumps({"directory": name, "digest": digest}))
    os.replace(staged, folder / CURRENT)
    for old in folder.glob("state-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)


def load_state(model_dir: Path) -> State | None:
    """The stored state; None when there is none.

    Raises:
        BundleRefused: it is not what was stored, or this version cannot read it.
    """
    folder = model_dir / FOLDER
    try:
        current = json.loads((folder / CURRENT).read_bytes())
        directory, digest = folder / Path(current["directory"]).name, str(current["digest"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleRefused(f"{folder / CURRENT} cannot be read: {error!r}") from error
    manifest, _ = read_manifest(directory, digest)
    return _unpickle(read_files(directory, manifest, (PICKLE,))[PICKLE])


def _unpickle(content: bytes) -> State:
    try:
        with warnings.catch_warnings():
            # Another scikit-learn fitted it: what it learned from is in the ledger, so it is not worth a risk.
            warnings.simplefilter("error", InconsistentVersionWarning)
            state = joblib.load(io.BytesIO(content))
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, EOFError, Warning) as error:
        raise BundleRefused(f"{PICKLE} cannot be read by this version: {error}") from error
    if not isinstance(state, State):
        raise BundleRefused(f"{PICKLE} holds a {type(state).__name__}")
    return state
