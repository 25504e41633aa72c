"""Who a request comes from."""

from __future__ import annotations

from web.auth.principal import ANYBODY, SCOPES, Principal, principal_of, remember_principal


def test_a_request_is_anybodys_until_somebody_was_found_at_the_door() -> None:
    assert principal_of({}) is ANYBODY
    assert all(ANYBODY.may(scope) for scope in SCOPES)


def test_who_was_found_at_the_door_is_known_behind_it() -> None:
    environ: dict[str, object] = {}
    somebody = Principal("shop", "acme", frozenset({"score"}), credential="k1")

    remember_principal(environ, somebody)

    assert principal_of(environ) is somebody


def test_a_scope_is_held_or_not_and_an_administrator_holds_every_one() -> None:
    assert Principal("shop", "acme", frozenset({"score"})).may("score")
    assert not Principal("shop", "acme", frozenset({"score"})).may("review")
    assert all(Principal("root", "default", frozenset({"admin"})).may(scope) for scope in SCOPES)
