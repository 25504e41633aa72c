"""The files of a model bundle: written whole or not at all, and read only when every byte is what the
manifest says.

A bundle's digest is the SHA-256 of its `manifest.json`, which holds the SHA-256 of every other file.
Nothing is unpickled before its digest has been compared. Where a key is set (`config.bundle_key`), `manifest.sig`
holds the manifest's signature, and a manifest without the right one is not even parsed.
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

from config.bundle_key import has_key, is_signed, sign
from config.errors import BundleRefused

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
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
        for name, content in {**files, **_signature(encoded), MANIFEST: encoded}.items():
            _write_durably(staging / name, content)
        os.replace(staging, directory)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return digest_of(encoded)


def _signature(manifest: bytes) -> dict[str, bytes]:
    """The file that signs a manifest; none without a key."""
    signature = sign(manifest)
    return {} if signature is None else {SIGNATURE: signature + b"\n"}


def sign_published(directory: Path, digest: str) -> None:
    """Sign a bundle that was published without a key. `digest`: the one that training printed.

    Raises:
        BundleRefused: a file is not what was published, or there is no key to sign with.
    """
    encoded = _manifest_bytes(directory)
    if digest_of(encoded) != digest:
        raise BundleRefused(f"{directory}: the digest is {digest_of(encoded)}, expected {digest}")
    read_files(directory, _parsed(directory, encoded), ())
    files = _signature(encoded)
    if not files:
        raise BundleRefused(f"{directory}: there is no key to sign with (TOLLGATE_BUNDLE_KEY)")
    for name, content in files.items():
        _write_durably(directory / name, content)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(directory: Path, digest: str | None = None) -> tuple[dict[str, Any], str]:
    """The manifest and the bundle's digest.

    Raises:
        BundleRefused: there is none, it cannot be read, its digest is not `digest`, or a key is set and it
        is not signed with it.
    """
    encoded = _manifest_bytes(directory)
    found = digest_of(encoded)
    if digest is not None and found != digest:
        raise BundleRefused(f"{directory}: the digest is {found}, expected {digest}")
    _require_signature(directory, encoded)
    return _parsed(directory, encoded), found


def _manifest_bytes(directory: Path) -> bytes:
    try:
        return (directory / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleRefused(f"{directory} has no readable {MANIFEST}: {error.strerror}") from error


def _require_signature(directory: Path, manifest: bytes) -> None:
    """Pass when no key is set, or the manifest is signed with it. Raises BundleRefused."""
    if not has_key():
        return
    try:
        signature = (directory / SIGNATURE).read_bytes()
    except OSError as error:
        raise BundleRefused(f"{directory} is not signed, and TOLLGATE_BUNDLE_KEY is set: `tollgate sign`") from error
    if not is_signed(manifest, signature):
        raise BundleRefused(f"{directory} was signed with another key, or changed after it was signed")


def _parsed(directory: Path, encoded: bytes) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(encoded)
        listed = manifest["files"].items() if manifest["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleRefused(f"{directory / MANIFEST} is not a manifest: {error!r}") from error
    if listed is None:
        raise BundleRefused(f"{directory} has format {manifest['format']!r}, this version reads {FORMAT}")
    return manifest


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
