"""API keys: what is asked for, what is shown of them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ml.ledger.key_book import KeyKind


class ApiKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that shall be made. `scopes`: what it may do. `expires_in_s`: None: until it is revoked."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=16)]
    tenant: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] = "default"
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=315_360_000)] | None = None


class ApiKeyRecord(msgspec.Struct, frozen=True):
    """What may be known of a key. `prefix`: how its text begins. `replaced_by`: the key made by rotating it."""

    key_id: str
    prefix: str
    kind: KeyKind
    name: str
    tenant: str
    scopes: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    replaced_by: str | None


class ApiKeyEvent(msgspec.Struct, frozen=True):
    """What was done to a key. `about`: which one, what it may do."""

    at: str
    actor: str
    action: str
    about: list[str]


class ApiKeyList(msgspec.Struct, frozen=True):
    """Every key that there ever was, oldest first, and the newest entries of the audit trail about them."""

    keys: list[ApiKeyRecord]
    events: list[ApiKeyEvent]


class ApiKeyIssued(msgspec.Struct, frozen=True):
    """A new key. `api_key`: what its owner shows; it is told this once and kept nowhere."""

    api_key: str
    key: ApiKeyRecord
