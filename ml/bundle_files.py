"""The files of a model bundle: written whole or not at all, and read only when every byte is what the
manifest says.

A bundle's digest is the SHA-256 of its `manifest.json`, which holds the SHA-256 of every other file.
Nothing is unpickled before its digest has been compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import BundleRefused

MANIFEST = "manifest.json"
FORMAT = 1


def digest_of(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def write_files(directory: Path, files: Mapping[str, bytes], about: Mapping[str, str]) -> str:
    """Write a bundle directory and return its digest. It appears under its name complete, or not at all.

    `files`: name -> content; `about`: what the manifest says besides (model_version, schema_digest).

    Raises:
        FileExistsError: the directory exists; a published bundle never changes.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists already; a bundle is never overwritten")
    digests = {name: digest_of(content) for name, content in files.items()}
    manifest = {"format": FORMAT, **about, "files": digests}
    encoded = json.dumps(manifest, indent=2, sort_keys=True).encode() + b"\n"
    staging = directory.parent / f".{directory.name}.{uuid.uuid4().hex[:8]}.tmp"
    staging.mkdir(parents=True)
    try:
        for name, content in {**files, MANIFEST: encoded}.items():
            _write_durably(staging / name, content)
        os.replace(staging, directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return digest_of(encoded)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(directory: Path, digest: str | None = None) -> tuple[dict[str, Any], str]:
    """The manifest and the bundle's digest.

    Raises:
        BundleRefused: there is none, it cannot be read, or its digest is not `digest`.
    """
    try:
        encoded = (directory / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleRefused(f"{directory} has no readable {MANIFEST}: {error.strerror}") from error
    found = digest_of(encoded)
    if digest is not None and found != digest:
        raise BundleRefused(f"{directory}: the digest is {found}, expected {digest}")
    try:
        manifest = json.loads(encoded)
        listed = manifest["files"].items() if manifest["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleRefused(f"{directory / MANIFEST} is not a manifest: {error!r}") from error
    if listed is None:
        raise BundleRefused(f"{directory} has format {manifest['format']!r}, this version reads {FORMAT}")
    return manifest, found


def read_files(directory: Path, manifest: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, bytes]:
    """The content of `names`; every file that the manifest lists is checked, also those not asked for.

    Raises:
        BundleRefused: a file is missing, truncated or changed, or one of `names` is not listed.
    """
    contents = {}
    for name, expected in manifest["files"].items():
        try:
            content = (directory / name).read_bytes()
        except OSError as error:
            raise BundleRefused(f"{directory / name} cannot be read: {error.strerror}") from error
        if digest_of(content) != expected:
            raise BundleRefused(f"{directory / name} ({len(content)} bytes) is not the file that was published")
        if name in names:
            contents[name] = content
    if missing := sorted(set(names) - set(contents)):
        raise BundleRefused(f"{directory}: the manifest does not list {', '.join(missing)}")
    return contents
