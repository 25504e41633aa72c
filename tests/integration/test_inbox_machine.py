"""Whatever happens to accepted work, in whatever order: it is finished, on its way or a dead letter, and never lost.

A state machine drives the real scripts on a real Valkey: workers pop, claim, crash, finish, fail; messages are lost and
delivered twice; the reaper runs; time passes; operators replay and drop.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis

from config import names
from config.queue.dead_letters import DeadLetters
from config.queue.inbox import Claim, Inbox
from tests.inbox_work import SETTINGS, accept, app, entry_of, finish, let_time_pass
from workers import inbox as reaping
from workers.inbox import Reaper

MOST = SETTINGS.inbox_attempts
ENTRIES = st.sampled_from(["t1", "t2", "t3"])
PICK = st.integers(0, 63)


class InboxMachine(RuleBasedStateMachine):
    """The model: which ids are accepted, decided, given up; which messages and claims workers hold.

    A rule that finds nothing to act on does nothing. It has no precondition, because the server's clock is real: what
    is overdue, and so what a worker holds, may differ when hypothesis runs the same steps again.
    """

    client: Redis

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.inbox = Inbox(self.client, SETTINGS, rng=random.Random(1))
        self.reaper = Reaper(self.client, app(), SETTINGS)
        self.letters = DeadLetters(self.client, app(), SETTINGS)
        self.accepted: set[str] = set()
        self.decided: set[str] = set()
        self.in_hand: list[bytes] = []
        self.claims: list[Claim] = []
        self.begun: Counter[str] = Counter()
        self.may_push: Counter[str] = Counter()

    @rule(entry=ENTRIES)
    def submit(self, entry: str) -> None:
        status = accept(self.client, entry)
        if entry in self.decided:
            assert status == "D"
        elif entry in self.accepted:
            assert status == ("L" if entry in self.dead() else "P")
        else:
            assert status == "A"
            self.accepted.add(entry)
            self.begun[entry] = 0
            self.may_push[entry] += 1

    @rule()
    def pop(self) -> None:
        message: Any = self.client.rpop(names.QUEUE_ACCEPTED)
        if message is not None:
            self.in_hand.append(message)

    @rule(pick=PICK)
    def lose_the_message(self, pick: int) -> None:
        if not self.in_hand:
            return
        self.in_hand.pop(pick % len(self.in_hand))

    @rule(pick=PICK)
    def put_the_message_back(self, pick: int) -> None:
        if not self.in_hand:
            return
        message = self.in_hand.pop(pick % len(self.in_hand))
        self.may_push[entry_of(message)] += 1
        self.client.rpush(names.QUEUE_ACCEPTED, message)

    @rule(pick=PICK, is_delivered_again=st.booleans())
    def claim(self, pick: int, is_delivered_again: bool) -> None:
        if not self.in_hand:
            return
        position = pick % len(self.in_hand)
        message = self.in_hand[position] if is_delivered_again else self.in_hand.pop(position)
        self._begin(entry_of(message))

    @rule(entry=ENTRIES)
    def deliver_until_it_is_given_up(self, entry: str) -> None:
        """To workers that all keep at it: any of them may still finish, fail or die."""
        while entry in self.accepted - self.decided and entry not in self.dead():
            self._begin(entry)

    def _begin(self, entry: str) -> None:
        was_dead, before = entry in self.dead(), self.begun[entry]
        claim = self.inbox.claim(entry)
        if claim is None:
            assert entry in self.decided or entry not in self.accepted or was_dead or before == MOST
            return
        self.begun[entry] += 1
        assert claim.attempt == self.begun[entry]
        self.claims.append(claim)

    @rule(pick=PICK)
    def crash(self, pick: int) -> None:
        if not self.claims:
            return
        self.claims.pop(pick % len(self.claims))

    @rule(pick=PICK)
    def complete(self, pick: int) -> None:
        if not self.claims:
            return
        entry = self.claims.pop(pick % len(self.claims)).entry_id
        is_new = finish(self.client, entry) == 1
        assert is_new == (entry not in self.decided)
        self.decided.add(entry)
        self.accepted.add(entry)

    @rule(pick=PICK)
    def fail(self, pick: int) -> None:
        if not self.claims:
            return
        claim = self.claims.pop(pick % len(self.claims))
        self.inbox.fail(claim, "it failed")

    @rule(pick=PICK)
    def put_off(self, pick: int) -> None:
        if not self.claims:
            return
        claim = self.claims.pop(pick % len(self.claims))
        if claim.entry_id not in self.dead() | self.decided:
            self.begun[claim.entry_id] = max(0, self.begun[claim.entry_id] - 1)
        self.inbox.defer(claim, "not yet")

    @rule(seconds=st.sampled_from([2, 31, 100]))
    def wait(self, seconds: int) -> None:
        let_time_pass(self.client, seconds)

    @rule()
    def reap(self) -> None:
        self.reaper.run()

    @rule(entry=ENTRIES)
    def replay(self, entry: str) -> None:
        was_dead = entry in self.dead()
        assert self.letters.replay(entry) == was_dead
        if was_dead:
            self.begun[entry] = 0
            self.may_push[entry] += 1

    @rule(entry=ENTRIES)
    def drop(self, entry: str) -> None:
        was_dead = entry in self.dead()
        assert self.letters.drop(entry) == was_dead
        if was_dead:
            self.accepted.discard(entry)
            # Whoever still executes it finishes a transaction that nobody waits for: not this model's business.
            self.claims = [claim for claim in self.claims if claim.entry_id != entry]

    @invariant()
    def each_is_finished_or_kept_in_one_place(self) -> None:
        due, dead = self.due(), self.dead()
        for entry in ("t1", "t2", "t3"):
            is_kept = bool(self.client.exists(names.inbox_key(entry)))
            is_stored = bool(self.client.exists(names.result_key(entry)))
            assert is_stored == (entry in self.decided), entry
            assert is_kept == (entry in self.accepted - self.decided), entry
            assert (entry in due) + (entry in dead) == is_kept, entry

    @invariant()
    def nothing_is_given_up_untried_or_tried_too_often(self) -> None:
        for entry in self.accepted - self.decided:
            attempts: Any = self.client.hget(names.inbox_key(entry), "attempts")
            assert int(attempts) == self.begun[entry] <= MOST, entry
        assert all(self.begun[entry] == MOST for entry in self.dead())

    @invariant()
    def no_entry_has_more_messages_than_were_owed_to_it(self) -> None:
        messages: Any = self.client.lrange(names.QUEUE_ACCEPTED, 0, -1)
        for entry, found in Counter(entry_of(message) for message in messages).items():
            assert found <= self.may_push[entry], entry

    def teardown(self) -> None:
        """Healthy workers and a reaper bring everything that is not given up to its end."""
        for _ in range(2 * MOST + 2):
            let_time_pass(self.client, 200)
            self.reaper.run()
            self._work_off()
        assert self.due() == set()
        assert self.accepted - self.decided == self.dead()

    def _work_off(self) -> None:
        while (message := self.client.rpop(names.QUEUE_ACCEPTED)) is not None:
            entry = entry_of(message)  # type: ignore[arg-type]
            if self.inbox.claim(entry) is not None:
                finish(self.client, entry)
                self.decided.add(entry)

    def due(self) -> set[str]:
        found: Any = self.client.zrange(names.INBOX_DUE, 0, -1)
        return {entry.decode() for entry in found}

    def dead(self) -> set[str]:
        return set(self.letters.ids())


def test_accepted_work_is_never_lost_and_never_multiplies(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine's messages are milliseconds apart, all stamped by one clock.
    monkeypatch.setattr(reaping, "STAMPS_DIFFER_MS", 0)
    monkeypatch.setattr(InboxMachine, "client", redis_client, raising=False)

    run_state_machine_as_test(
        InboxMachine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
