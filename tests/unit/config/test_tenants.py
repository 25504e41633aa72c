"""The tenant in front of an id: put there, taken off, and never mistaken for a part of what a client sent."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.contracts import Decision, Reason
from config.schema.checks import is_clean_text
from config.tenants import (
    DEFAULT_TENANT,
    SEPARATOR,
    kept_digest,
    prefix_for,
    prefix_of,
    sent_id,
    sent_json,
    tenant_of,
    told,
    typed,
)

SENT_IDS = st.text(min_size=1, max_size=40).filter(is_clean_text)
TENANTS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)


@given(TENANTS | st.just(DEFAULT_TENANT), SENT_IDS)
def test_what_is_kept_says_whose_it_is_and_what_was_sent(tenant: str, sent: str) -> None:
    kept = prefix_for(tenant) + sent

    assert (tenant_of(kept), sent_id(kept), prefix_of(kept)) == (tenant, sent, prefix_for(tenant))
    assert (typed(told(kept)) == kept) or r"\x1f" in sent


@given(TENANTS, TENANTS, SENT_IDS, SENT_IDS)
def test_two_tenants_never_keep_the_same(one: str, other: str, sent: str, also_sent: str) -> None:
    is_same = prefix_for(one) + sent == prefix_for(other) + also_sent
    assert is_same == ((one, sent) == (other, also_sent))


def test_the_separator_is_no_text_that_a_client_can_send() -> None:
    assert not is_clean_text(f"a{SEPARATOR}b")


@pytest.mark.parametrize("tenant", ["", "Acme", "-a", "a" * 33, f"a{SEPARATOR}b", "a/b"])
def test_what_is_no_name_of_a_tenant_keeps_nothing_apart_and_is_refused(tenant: str) -> None:
    with pytest.raises(ValueError, match="no name of a tenant"):
        prefix_for(tenant)


def test_digests_differ_by_tenant_and_stay_as_they_were_for_the_default_one() -> None:
    sent = "0123456789abcdef"
    digests = {kept_digest(prefix_for(tenant), sent) for tenant in (DEFAULT_TENANT, "acme", "bolt")}

    assert (len(digests), {len(one) for one in digests}) == (3, {16})
    assert kept_digest("", sent) == sent


@given(TENANTS, SENT_IDS)
def test_a_decision_leaves_with_the_id_that_was_sent_and_nothing_else_changed(tenant: str, sent: str) -> None:
    prefix = prefix_for(tenant)
    # A reason that quotes the very member, as hostile a text as there is.
    text = f'"transaction_id":"{prefix}x'
    reason = Reason("CODE", sent, "raises", 1.0, text)
    kept = Decision(
        f"d-{sent}", prefix + sent, 0.5, False, 50, "low", "approve", [reason], "m1", "2026-03-01T00:00:00Z"
    )

    left = msgspec.json.decode(sent_json(msgspec.json.encode(kept), prefix), type=Decision)

    assert left == msgspec.structs.replace(kept, transaction_id=sent)
