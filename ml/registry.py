"""Which model serves: the champion pointer, and the store of bundles it points into.

The pointer in Redis is the truth. `champion.json` beside the bundles is its durable copy, so that an
emptied Redis is filled again and a model can be trained while nothing runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import redis

from config import names
from config.contracts import ChampionPointer
from config.errors import BundleRefused
from config.queue.stats import read_champion
from ml.bundle_files import read_manifest

__all__ = ["StoredBundle", "ensure_champion", "find_bundles", "promote", "read_champion", "stored_champion"]

POINTER_FILE = "champion.json"
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A bundle in the store, by its manifest. `path` is relative to the store. `held_back`: training doubts that it
    may serve, so it becomes the champion by a person's word only.
    """

    model_version: str
    digest: str
    path: str
    schema_digest: str
    held_back: bool = False


def find_bundles(model_dir: Path, schema_digest: str | None = None) -> list[StoredBundle]:
    """The bundles in the store, newest first; those that cannot be read are left out."""
    found = []
    for directory in sorted(model_dir.glob("*/"), key=_made_at, reverse=True):
        try:
            manifest, digest = read_manifest(directory)
        except BundleRefused:
            continue
        bundle = StoredBundle(
            str(manifest.get("model_version")),
            digest,
            directory.name,
            str(manifest.get("schema_digest")),
            held_back="held_back" in manifest,
        )
        if schema_digest in (None, bundle.schema_digest):
            found.append(bundle)
    return found


def _made_at(directory: Path) -> float:
    return directory.stat().st_mtime


def promote(client: redis.Redis | None, model_dir: Path, bundle: StoredBundle) -> ChampionPointer:
    """Make `bundle` the champion, one generation on. Workers follow within `champion_poll_s`.

    `client`: None when no Redis is running: then only the durable copy changes, and `restore_champion`
    brings it to Redis at the next start.

    Raises:
        redis.RedisError: Redis cannot be reached, or others kept promoting at the same moment.
    """
    if client is None:
        pointer = _successor(stored_champion(model_dir), bundle)
    else:
        pointer = _replace(client, lambda current: _successor(current or stored_champion(model_dir), bundle))
    _store(model_dir, pointer)
    return pointer


def _successor(current: ChampionPointer | None, bundle: StoredBundle) -> ChampionPointer:
    return ChampionPointer(
        model_version=bundle.model_version,
        digest=bundle.digest,
        path=bundle.path,
        generation=1 if current is None else current.generation + 1,
        promoted_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _replace(client: redis.Redis, make: Callable[[ChampionPointer | None], ChampionPointer]) -> ChampionPointer:
    """Optimistic locking on the pointer: the generation never repeats, whoever promotes at the same time."""
    for _ in range(_ATTEMPTS):
        with client.pipeline() as pipe:
            try:
                pipe.watch(names.CHAMPION)
                pointer = make(read_champion(pipe))
                pipe.multi()
                pipe.set(names.CHAMPION, msgspec.json.encode(pointer))
                pipe.execute()
            except redis.WatchError:
                continue
            return pointer
    raise redis.WatchError(f"the champion changed {_ATTEMPTS} times while it was being replaced")


def ensure_champion(client: redis.Redis, model_dir: Path, schema_digest: str) -> ChampionPointer | None:
    """The champion for this schema. Redis decides; else its durable copy, else the newest bundle that is not held
    back, is promoted.

    None: there is no such bundle for this schema.

    Raises:
        redis.RedisError: Redis cannot be reached.
    """
    current = read_champion(client)
    if current is not None and is_for_schema(current, model_dir, schema_digest):
        return current
    kept = stored_champion(model_dir)
    candidates = find_bundles(model_dir, schema_digest)
    of_old = [bundle for bundle in candidates if kept is not None and bundle.digest == kept.digest]
    eligible = of_old or [bundle for bundle in candidates if not bundle.held_back]
    return promote(client, model_dir, eligible[0]) if eligible else None


def is_for_schema(pointer: ChampionPointer, model_dir: Path, schema_digest: str) -> bool:
    """Whether the bundle that `pointer` names is there and was trained for this schema."""
    try:
        manifest, _ = read_manifest(model_dir / pointer.path, pointer.digest)
    except BundleRefused:
        return False
    return bool(manifest.get("schema_digest") == schema_digest)


def stored_champion(model_dir: Path) -> ChampionPointer | None:
    """The durable copy of the pointer, or None when there is none that can be read."""
    try:
        return msgspec.json.decode((model_dir / POINTER_FILE).read_bytes(), type=ChampionPointer)
    except (OSError, msgspec.MsgspecError):
        return None


def _store(model_dir: Path, pointer: ChampionPointer) -> None:
    model_dir.mkdir(parents=True, exist_ok=True)
    staged = model_dir / f".{POINTER_FILE}.{os.getpid()}"
    with staged.open("w") as file:
        json.dump(msgspec.to_builtins(pointer), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(staged, model_dir / POINTER_FILE)
