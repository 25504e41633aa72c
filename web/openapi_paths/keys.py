"""API keys: list, make, rotate, revoke."""

from __future__ import annotations

from typing import Any

from web.openapi_paths.parts import answer, operation, path, problems, query


def key_paths() -> dict[str, Any]:
    tag, key_id = "keys", path("key_id", "The 8 characters after `tg_`.")
    overlap = {"type": "number", "minimum": 0, "maximum": 7_776_000, "default": 86_400}
    example = {"name": "shop", "scopes": ["score", "feedback"], "expires_in_s": 7_776_000}
    reference = {"$ref": "#/components/schemas/ApiKeyRequest"}
    wish = {"application/json": {"schema": reference, "examples": {"shop": {"value": example}}}}
    listed = {"200": answer("The keys, without anything that opens", "ApiKeyList"), **problems(422, 503)}
    issued = {"201": answer("The key, shown this once", "ApiKeyIssued")}
    made = {**issued, **problems(413, 415, 422, 503)}
    rotated = {**issued, **problems(404, 422, 503)}
    revoked = {"204": {"description": "It opens nothing any more"}, **problems(404, 503)}
    body = {"required": True, "content": wish}
    slowly = [key_id, query("overlap_s", overlap, "How long the old key stays in force.")]
    return {
        "/keys": {
            "get": operation(tag, "List keys", "listKeys", responses=listed),
            "post": operation(tag, "Make a key", "createKey", requestBody=body, responses=made),
        },
        "/keys/{key_id}": {
            "delete": operation(tag, "Revoke a key", "revokeKey", parameters=[key_id], responses=revoked)
        },
        "/keys/{key_id}/rotate": {
            "post": operation(
                tag, "Replace a key by one of the same rights", "rotateKey", parameters=slowly, responses=rotated
            )
        },
    }
