"""Bearer tokens of a real issuer on loopback: what is accepted, what never is, and how often the issuer is asked."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from config.errors import AuthUnavailable, SettingInvalid, Unauthenticated
from config.settings import Settings, load_settings
from tests.token_issuer import AUDIENCE, Issuer, Signer, make_signer, running_issuer
from web.auth.access import issuer_of
from web.auth.tokens import TokenVerifier

LEEWAY_S = 10


@pytest.fixture(scope="module")
def rsa() -> Signer:
    return make_signer("rsa-1", "RS256")


@pytest.fixture(scope="module")
def curve() -> Signer:
    return make_signer("ec-1", "ES256")


@pytest.fixture(scope="module")
def server() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(server: Issuer, rsa: Signer, curve: Signer) -> Issuer:
    """The module's issuer, as new."""
    server.signers, server.asked, server.is_away, server.changed = [rsa, curve], [], False, {}
    return server


class Clock:
    """Unix seconds, moved by a test."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


MakeVerifier = Callable[..., TokenVerifier]


@pytest.fixture
def make_verifier(issuer: Issuer, clock: Clock) -> MakeVerifier:
    def make(**changed: Any) -> TokenVerifier:
        usual = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_leeway_s": LEEWAY_S}
        settings = Settings(**{**usual, "oidc_refresh_s": 0.001, **changed})
        keys = issuer_of(settings)
        assert keys is not None
        return TokenVerifier(settings, keys, clock=clock)

    return make


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_token_of_each_algorithm_opens_what_its_scopes_say(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, curve: Signer, algorithm: str
) -> None:
    signer = {"RS256": rsa, "PS256": Signer(rsa.key_id, "PS256", rsa.private), "ES256": curve}.get(algorithm)
    signer = signer or make_signer("ed-1", algorithm)
    issuer.signers = [signer]

    found = make_verifier().find(issuer.token(signer))

    assert (found.name, found.tenant, found.scopes) == ("token:shop", "default", {"score"})


@pytest.mark.parametrize(
    ("claims", "settings", "scopes"),
    [
        ({"scope": None, "scp": ["tollgate:read", "tollgate:review", 7]}, {}, {"read", "review"}),
        ({"scope": "score admin"}, {}, set()),
        ({"scope": "score read"}, {"oidc_scope_prefix": ""}, {"score", "read"}),
        ({"roles": "tollgate:admin"}, {"oidc_scope_claim": "roles"}, {"admin"}),
        ({"scope": {"tollgate:admin": True}}, {}, set()),
        ({"scope": "tollgate:admin tollgate:score", "org": "acme"}, {"oidc_tenant_claim": "org"}, {"score"}),
    ],
)
def test_scopes_come_from_the_claim_of_the_settings(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, claims: dict[str, Any], settings: dict[str, str],
    scopes: set[str],
) -> None:  # fmt: skip
    found = make_verifier(**settings).find(issuer.token(rsa, **claims))

    assert found.scopes == scopes
    assert found.tenant == claims.get("org", "default")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"aud": "another"}, "[Aa]udience"),
    ({"aud": None}, "aud"),
    ({"iss": "https://elsewhere"}, "issuer"),
    ({"iss": None}, "iss"),
    ({"exp": 1_000_000_000}, "expired"),
    ({"exp": None}, "exp"),
    ({"exp": "soon"}, "exp"),
    ({"nbf": 9_999_999_999}, "not yet valid"),
    ({"sub": None}, "sub"),
    ({"sub": ""}, "subject"),
    ({"headers": {"kid": "nobody"}}, "none of the issuer's"),
]


@pytest.mark.parametrize(("changed", "reason"), WRONG, ids=[str(changed) for changed, _ in WRONG])
def test_a_token_that_is_wrong_in_one_way_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unauthenticated, match=reason):
        make_verifier().find(issuer.token(rsa, **changed))


def test_a_token_without_its_tenant_is_refused_where_tenants_are_told_apart(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    for claims in ({}, {"org": "no such:name"}, {"org": ["acme"]}):
        with pytest.raises(Unauthenticated, match="names no tenant"):
            make_verifier(oidc_tenant_claim="org").find(issuer.token(rsa, **claims))


def forged(head: dict[str, Any], claims: str, secret: bytes = b"") -> str:
    """A token made by hand: with a secret an HMAC over it."""
    first = base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b"=").decode()
    signature = hmac.new(secret, f"{first}.{claims}".encode(), sha256).digest() if secret else b""
    return f"{first}.{claims}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_no_token_chooses_an_algorithm_that_nobody_or_anybody_can_sign_with(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, curve: Signer
) -> None:
    verifier = make_verifier()
    claims = issuer.token(rsa, scope="tollgate:admin").split(".")[1]
    shape = serialization.PublicFormat.SubjectPublicKeyInfo
    public = rsa.private.public_key().public_bytes(serialization.Encoding.PEM, shape)
    attempts = [
        forged({"alg": "none", "kid": "rsa-1"}, claims),
        forged({"alg": "None", "kid": "rsa-1"}, claims),
        forged({"alg": "HS256", "kid": "rsa-1"}, claims, public),
        forged({"alg": ["RS256"], "kid": "rsa-1"}, claims),
        forged({"kid": "rsa-1"}, claims, public),
        forged({"alg": "RS256", "kid": 1}, claims),
        # Signed by the curve, said to be by RSA; and another key of the same kind under a known id.
        issuer.token(Signer("rsa-1", "ES256", curve.private)),
        issuer.token(Signer("rsa-1", "RS256", make_signer("x", "RS256").private)),
        # The key that a token brings with it is not looked at.
        issuer.token(make_signer("rsa-1", "RS256"), headers={"jwk": rsa.public(), "jku": f"{issuer.url}/keys"}),
        issuer.token(rsa)[:-4],
        "a.b.c",
        "..",
        "é.é.é",
        f"{'a' * 9000}.b.c",
    ]
    for token in attempts:
        with pytest.raises(Unauthenticated, match="is not accepted"):
            verifier.find(token)


def test_a_known_token_asks_nobody_until_it_expires(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, clock: Clock
) -> None:
    verifier, token = make_verifier(), issuer.token(rsa)
    first = verifier.find(token)
    issuer.is_away = True

    assert verifier.find(token) is first
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    clock.ahead_s = 300 + LEEWAY_S
    token = issuer.token(rsa, exp=int(time.time()) - LEEWAY_S - 1)
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.find(token)


def test_what_is_remembered_ends_with_the_token(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, clock: Clock
) -> None:
    verifier = make_verifier(oidc_leeway_s=0)
    token = issuer.token(rsa, exp=int(time.time()) + 2)
    verifier.find(token)

    clock.ahead_s = 3.0

    assert verifier._remembered(sha256(token.encode()).digest()) is None


def test_a_new_key_of_the_issuer_is_found_and_one_that_it_withdrew_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    verifier, old = make_verifier(), issuer.token(rsa)
    verifier.find(old)
    new = make_signer("rsa-2", "RS256")

    issuer.signers = [new]

    assert verifier.find(issuer.token(new)).name == "token:shop"
    with pytest.raises(Unauthenticated, match="none of the issuer's"):
        verifier.find(old)


def test_unknown_key_ids_ask_the_issuer_only_now_and_then(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    verifier = make_verifier(oidc_refresh_s=60)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            verifier.find(issuer.token(rsa, headers={"kid": f"made-up-{number}"}))

    assert issuer.asked.count("/keys") == 1


def test_while_the_issuer_is_away_its_last_keys_stay_in_force(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    verifier = make_verifier()
    verifier.find(issuer.token(rsa))
    issuer.is_away = True

    with pytest.raises(Unauthenticated):
        verifier.find(issuer.token(make_signer("rsa-9", "RS256")))
    assert verifier.find(issuer.token(rsa, sub="another")).name == "token:another"


def test_before_the_issuer_was_ever_reached_tokens_are_neither_good_nor_bad(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    issuer.is_away = True

    with pytest.raises(AuthUnavailable):
        make_verifier().find(issuer.token(rsa))


@pytest.mark.parametrize("changed", [{"issuer": "https://elsewhere"}, {"jwks_uri": None}, {"jwks_uri": "file:///etc"}])
def test_a_discovery_document_of_somebody_else_is_not_believed(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer, changed: dict[str, Any]
) -> None:
    issuer.changed = changed

    with pytest.raises(AuthUnavailable):
        make_verifier().find(issuer.token(rsa))


def test_one_key_without_an_id_is_enough_and_two_are_ambiguous(
    issuer: Issuer, make_verifier: MakeVerifier, rsa: Signer
) -> None:
    nameless = issuer.token(rsa, headers={"kid": None})
    assert "kid" not in jwt.get_unverified_header(nameless)
    assert make_verifier().find(nameless).name == "token:shop"

    issuer.signers = [rsa, make_signer("rsa-2", "RS256")]

    with pytest.raises(Unauthenticated):
        make_verifier().find(nameless)


def test_an_issuer_is_reached_safely_and_tokens_for_others_are_told_apart() -> None:
    for address in ("http://issuer.example", "ftp://127.0.0.1", "issuer"):
        with pytest.raises(SettingInvalid, match="TOLLGATE_OIDC_ISSUER"):
            load_settings(oidc_issuer=address)
    with pytest.raises(SettingInvalid, match="TOLLGATE_OIDC_AUDIENCE"):
        issuer_of(Settings(oidc_issuer="https://issuer.example"))
