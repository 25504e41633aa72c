"""Dead letters on a real server: what operators see, replay and drop, and what clients are told meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from redis import Redis

from config import names
from config.contracts import LabelEntry
from config.queue.dead_letters import DeadLetter, DeadLetters, types_of
from config.queue.inbox import Inbox
from config.schema.load import load_schema
from config.schema.validate import compile_validator
from config.setting_groups.places import DEFAULT_SCHEMA
from config.settings import Settings
from deploy.cli import main
from ml.ledger import Ledger
from tests.inbox_work import DIGEST, SETTINGS, VALUES, accept, app, attempts_of, finish, take, waiting
from tests.web_app import PAYMENT
from web.gateway import Gateway
from web.ledger_reader import LedgerReader

SCHEMA = load_schema(DEFAULT_SCHEMA)
FIELDS = [field.name for field in SCHEMA.fields]


@pytest.fixture
def letters(redis_client: Redis) -> DeadLetters:
    return DeadLetters(redis_client, app(), SETTINGS)


def give_up(client: Redis, entry_id: str, *, failure: str = "it failed") -> None:
    """Fail accepted work as often as it may."""
    inbox = Inbox(client, SETTINGS)
    for _ in range(SETTINGS.inbox_attempts):
        claim = inbox.claim(entry_id)
        assert claim is not None
        inbox.fail(claim, failure)


def accept_and_give_up(client: Redis, entry_id: str) -> None:
    accept(client, entry_id)
    assert take(client) == entry_id
    give_up(client, entry_id)


def test_a_dead_letter_says_what_it_is_and_why(letters: DeadLetters, redis_client: Redis) -> None:
    accept_and_give_up(redis_client, "t1")

    letter = letters.find("t1")

    assert letter is not None
    assert (letter.kind, letter.queue, letter.attempts, letter.failure) == ("transaction", "accepted", 3, "it failed")
    assert letter.accepted_at <= letter.dead_at
    assert letter.content(FIELDS) == PAYMENT
    assert types_of(letter.content(FIELDS))["amount"] == "number"


def test_only_what_was_given_up_is_a_dead_letter(letters: DeadLetters, redis_client: Redis) -> None:
    accept(redis_client, "t1")

    assert letters.find("t1") is None
    assert letters.find("nobody") is None
    assert letters.page(limit=10) == []
    assert not letters.replay("t1")
    assert not letters.drop("t1")
    assert waiting(redis_client) == ["t1"]


def test_pages_run_from_the_newest_to_the_oldest(letters: DeadLetters, redis_client: Redis) -> None:
    for number in range(5):
        accept_and_give_up(redis_client, f"t{number}")
        redis_client.zadd(names.DEAD_LETTERS, {f"t{number}": 1000 + number})

    assert [letter.entry_id for letter in letters.page(limit=2)] == ["t4", "t3"]
    assert [letter.entry_id for letter in letters.page(limit=9, offset=3)] == ["t1", "t0"]
    assert letters.ids() == [f"t{number}" for number in range(5)]


def test_a_replayed_dead_letter_has_a_message_and_all_its_attempts(letters: DeadLetters, redis_client: Redis) -> None:
    accept_and_give_up(redis_client, "t1")

    assert letters.replay("t1")

    assert not letters.replay("t1"), "once"
    assert waiting(redis_client) == ["t1"]
    assert attempts_of(redis_client, "t1") == 0
    assert redis_client.zscore(names.INBOX_DUE, "t1") is not None
    assert letters.find("t1") is None
    claim = Inbox(redis_client, SETTINGS).claim(take(redis_client))
    assert claim is not None
    assert claim.attempt == 1
    assert finish(redis_client, "t1") == 1


def test_a_dropped_dead_letter_is_forgotten(letters: DeadLetters, redis_client: Redis) -> None:
    accept_and_give_up(redis_client, "t1")
    redis_client.set(names.seen_key("t1"), f"{DIGEST} 1 0 0")

    assert letters.drop("t1")

    assert not letters.drop("t1")
    assert redis_client.keys("tollgate:*") == []
    assert accept(redis_client, "t1") == "A", "its id is free again"


LABELLED: list[tuple[LabelEntry, dict[str, Any]]] = [
    (LabelEntry("l1", True, "chargeback", 2.0, 3.0, "d1", "t1"), {"decision_id": "string", "transaction_id": "string"}),
    (
        LabelEntry("l1", True, "api", 2.0, 3.0, digest=DIGEST, values=VALUES),
        {"digest": "string", "values": types_of(PAYMENT)},
    ),
]


def letter_of(task: str, payload: bytes, redis_client: Redis, letters: DeadLetters) -> DeadLetter:
    accept_and_give_up(redis_client, "any")
    redis_client.hset(names.inbox_key("any"), mapping={"task": task, "payload": payload})
    letter = letters.find("any")
    assert letter is not None
    return letter


@pytest.mark.parametrize(("label", "about"), LABELLED)
def test_the_content_of_a_label_is_named(
    letters: DeadLetters, redis_client: Redis, label: LabelEntry, about: dict[str, Any]
) -> None:
    letter = letter_of(names.TASK_RECORD_LABEL, msgspec.json.encode(label), redis_client, letters)

    always = {"label_id": "string", "is_fraud": "boolean", "source": "string"}
    times = {"known_at_s": "number", "received_at_s": "number"}
    assert letter.kind == "label"
    assert types_of(letter.content(FIELDS)) == always | times | about


@pytest.mark.parametrize("payload", [b"{", b"[]", b'["t1","d",0,0,[1.0]]', b"\xff"])
def test_a_payload_that_cannot_be_read_is_shown_as_it_is(
    letters: DeadLetters, redis_client: Redis, payload: bytes
) -> None:
    letter = letter_of(names.TASK_SCORE_ACCEPTED, payload, redis_client, letters)

    assert letter.content(FIELDS) == {"unreadable": payload.decode(errors="replace")}


def test_the_content_of_other_work_is_its_own_json(letters: DeadLetters, redis_client: Redis) -> None:
    letter = letter_of(names.TASK_SCORE_CHUNK, b'{"batch_id":"b1","chunk":3}', redis_client, letters)

    assert letter.kind == "chunk"
    assert letter.content(FIELDS) == {"batch_id": "b1", "chunk": 3}


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[Gateway]:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", schema=SCHEMA)
    ledger.migrate()
    gateway = Gateway(Settings(redis_url=redis_url), SCHEMA, LedgerReader(ledger, SCHEMA))
    gateway.start()
    yield gateway
    gateway.close()


def test_clients_are_told_that_it_was_given_up_until_it_is_replayed_or_dropped(
    gateway: Gateway, redis_client: Redis
) -> None:
    payment = compile_validator(SCHEMA).validate(PAYMENT)
    gateway.accept(payment, transaction_id="t1", explain=False)
    give_up(redis_client, "t1")

    assert gateway.find("t1").status == "dead_lettered"
    assert gateway.accept(payment, transaction_id="t1", explain=False).status == "dead_lettered"
    assert [letter.entry_id for letter in gateway.dead_letters.page(limit=5)] == ["t1"]

    assert gateway.dead_letters.replay("t1")
    assert gateway.find("t1").status == "pending"

    give_up(redis_client, "t1")
    assert gateway.dead_letters.drop("t1")
    assert gateway.find("t1").status == "unknown"


def test_a_dead_letter_that_is_decided_all_the_same_is_decided(gateway: Gateway, redis_client: Redis) -> None:
    payment = compile_validator(SCHEMA).validate(PAYMENT)
    gateway.accept(payment, transaction_id="t1", explain=False)
    give_up(redis_client, "t1")

    decided = gateway.decide_by_rules(payment, transaction_id="t1", explain=False)

    assert gateway.find("t1").decision_json == decided.decision_json
    assert redis_client.zcard(names.DEAD_LETTERS) == 0
    assert not redis_client.exists(names.inbox_key("t1"))


Run = Callable[..., Result]


@pytest.fixture
def tollgate(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tollgate dead-letters ...` on the session's server."""
    monkeypatch.setenv("TOLLGATE_REDIS_URL", redis_url)
    return lambda *args: CliRunner().invoke(main, ["dead-letters", *args], env={"COLUMNS": "120"})


def test_the_command_lists_and_shows_without_values_unless_asked(tollgate: Run, redis_client: Redis) -> None:
    assert "no dead letters" in tollgate("list").output
    accept_and_give_up(redis_client, "t1")

    listed = tollgate("list")
    for fact in ("t1", "transaction", "3", "it failed"):
        assert fact in listed.output
    records = json.loads(tollgate("list", "--json").output)
    assert records[0]["content"]["amount"] == "number"

    assert "amount: number" in tollgate("show", "t1").output
    assert "amount: 1500.0" in tollgate("show", "t1", "--values").output
    assert json.loads(tollgate("show", "t1", "--values", "--json").output)["content"]["amount"] == 1500.0


def test_the_command_replays_one_or_all_and_drops(tollgate: Run, redis_client: Redis) -> None:
    for number in range(4):
        accept_and_give_up(redis_client, f"t{number}")

    assert tollgate("replay", "t2").output == "replayed: 1\n"
    assert tollgate("drop", "t3").output == "dropped: t3\n"
    assert tollgate("replay", "--all").output == "replayed: 2\n"

    assert sorted(waiting(redis_client)) == ["t0", "t1", "t2"]
    assert redis_client.zcard(names.DEAD_LETTERS) == 0


def test_a_tenants_dead_letter_is_named_as_the_list_shows_it(tollgate: Run, redis_client: Redis) -> None:
    for number in range(2):
        accept_and_give_up(redis_client, f"acme\x1ft{number}")

    assert r"acme\x1ft0" in tollgate("list").output
    assert r"id: acme\x1ft0" in tollgate("show", r"acme\x1ft0").output
    assert tollgate("replay", r"acme\x1ft0").output == "replayed: 1\n"
    assert tollgate("drop", r"acme\x1ft1").exit_code == 0
    assert waiting(redis_client) == ["acme\x1ft0"]


@pytest.mark.parametrize("args", [("show", "nobody"), ("replay", "nobody"), ("drop", "nobody")])
def test_the_command_says_that_an_id_is_no_dead_letter(tollgate: Run, args: tuple[str, ...]) -> None:
    result = tollgate(*args)

    assert result.exit_code == 2
    assert "there is no dead letter 'nobody'" in result.output


@pytest.mark.parametrize("args", [("replay",), ("replay", "t1", "--all")])
def test_replay_wants_one_id_or_all(tollgate: Run, args: tuple[str, ...]) -> None:
    result = tollgate(*args)

    assert result.exit_code == 2
    assert "either an ENTRY_ID or --all" in result.output


def test_without_a_broker_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLLGATE_REDIS_URL", "redis://127.0.0.1:1/0")

    result = CliRunner().invoke(main, ["dead-letters", "list"])

    assert result.exit_code == 2
    assert "the broker does not answer" in result.output
