"""What every database must tell again: pages, histories, the order of arrival."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ml.ledger import DecisionFilter, Ledger
from ml.ledger.history import LabelArrival
from ml.ledger.review_book import ReviewFigures
from tests.ledger_entries import NOON, entry, label


class ReadingContract:
    """Pages of decisions and the history of an account."""

    def test_pages_go_back_through_all_decisions_newest_first(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(1, 8)])
        pages, before = [], None
        while page := ledger.latest_decisions(3, before):
            pages.append([stored.decision.transaction_id for stored in page])
            before = page[-1].id
        assert pages == [["t-7", "t-6", "t-5"], ["t-4", "t-3", "t-2"], ["t-1"]]

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (DecisionFilter(action="decline"), ["t-2"]),
            (DecisionFilter(is_fraud=True), ["t-2"]),
            (DecisionFilter(is_fraud=False), ["t-3", "t-1"]),
            (DecisionFilter(degraded=True), ["t-3"]),
            (DecisionFilter(model_version="m-2"), ["t-3"]),
            (DecisionFilter(min_probability=0.5), ["t-2"]),
            (DecisionFilter(since=NOON + timedelta(minutes=2)), ["t-3", "t-2"]),
            (DecisionFilter(until=NOON + timedelta(minutes=2)), ["t-1"]),
            (DecisionFilter(labelled=True), ["t-1"]),
            (DecisionFilter(labelled=False), ["t-3", "t-2"]),
            (DecisionFilter(entity="account", value="account-1"), ["t-3", "t-1"]),
            (DecisionFilter(entity="account", value="account-1", degraded=False), ["t-1"]),
        ],
    )
    def test_a_page_holds_what_fulfils_every_condition(
        self, ledger: Ledger, wanted: DecisionFilter, found: list[str]
    ) -> None:
        fraud = entry(2, action="decline", is_fraud=True, fraud_probability=0.75)
        ledger.store([entry(1), fraud, entry(3, degraded=True, model_version="m-2")])
        ledger.store_label(label(1))
        page = ledger.latest_decisions(filters=wanted)
        assert [stored.decision.transaction_id for stored in page] == found

    def test_the_history_of_an_account_is_told_latest_event_first(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(5), entry(2), entry(3)])
        history = ledger.history_of("account", "account-1")
        assert [stored.decision.transaction_id for stored in history] == ["t-5", "t-3", "t-1"]
        earlier = ledger.history_of("account", "account-1", before=history[0].event_at, limit=1)
        assert [stored.decision.transaction_id for stored in earlier] == ["t-3"]
        assert ledger.history_of("merchant", "account-1") == []

    def test_open_reviews_come_by_expected_loss_or_age_until_anybody_labels_them(self, ledger: Ledger) -> None:
        amounts = {1: 100.0, 2: None, 3: 900.0, 4: 400.0}
        ledger.store([entry(number, action="review", amount=amount) for number, amount in amounts.items()])
        ledger.store([entry(5)])
        ledger.store_label(label(4))
        ledger.store_label(label(3, label_id="l-by-hand", decision_id="d-5", source="manual_review"))

        by_loss, by_age = (
            ledger.reviews.open("loss", limit=10, tenant="default"),
            ledger.reviews.open("age", limit=2, tenant="default"),
        )
        figures = ledger.reviews.figures(done_since=NOON + timedelta(days=8), tenant="default")

        assert [one.decision.decision_id for one in by_loss] == ["d-3", "d-1", "d-2"]
        assert [one.decision.decision_id for one in by_age] == ["d-1", "d-2"]
        first, second = (ledger.decision_by_id(one) for one in ("d-3", "d-1"))
        assert first is not None
        assert second is not None
        after = [ledger.reviews.open(order, limit=2, tenant="default", after=first.id) for order in ("loss", "age")]
        assert [[one.decision.decision_id for one in page] for page in after] == [["d-1", "d-2"], []]
        ledger.store_label(label(1, label_id="l-in-between"))
        after = [ledger.reviews.open(order, limit=2, tenant="default", after=second.id) for order in ("loss", "age")]
        assert [[one.decision.decision_id for one in page] for page in after] == [["d-2"], ["d-2", "d-3"]]
        assert ledger.reviews.open("loss", limit=2, tenant="default", after=10**6) == []
        assert ledger.reviews.open("loss", limit=2, tenant="acme", after=first.id) == []
        assert (figures.open, figures.oldest_at, figures.done) == (3, NOON + timedelta(minutes=1), 1)
        assert ledger.reviews.figures(done_since=NOON + timedelta(days=9), tenant="default").done == 0

    def test_no_reviews_are_no_reviews(self, ledger: Ledger) -> None:
        assert ledger.reviews.open("loss", limit=10, tenant="default") == []
        assert ledger.reviews.figures(done_since=NOON, tenant="default") == ReviewFigures(0, None, 0)

    def test_decisions_are_filtered_by_both_ends_of_the_score(self, ledger: Ledger) -> None:
        ledger.store([entry(number, fraud_probability=number / 10) for number in range(1, 6)])
        wanted = DecisionFilter(min_probability=0.2, max_probability=0.4)
        assert [one.decision.decision_id for one in ledger.latest_decisions(filters=wanted)] == ["d-4", "d-3", "d-2"]


class ReplayContract:
    """Everything in the order of its arrival, as replay and features need it."""

    def test_replay_follows_the_order_of_arrival_over_chunks(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ml.ledger.replay.CHUNK_ROWS", 2)
        ledger.store([entry(n, sequence=s) for n, s in ((1, 40), (2, 10), (3, 10), (4, 25), (5, 10))])
        ledger.store_labels([label(1, sequence=41), label(2, sequence=11)])
        told = [getattr(item, "decision", getattr(item, "label", None)) for item in ledger.replay_stream()]
        names = [getattr(what, "label_id", None) or what.transaction_id for what in told]
        assert names == ["t-2", "t-3", "t-5", "l-2", "t-4", "t-1", "l-1"]
        assert [item.sequence for item in ledger.replay_stream(after_sequence=25)] == [40, 41]

    def test_history_tells_each_label_with_the_one_that_counted_until_then(self, ledger: Ledger) -> None:
        ledger.store([entry(1), entry(2, sequence=4)])
        ledger.store_labels(
            [
                label(1, sequence=2, is_fraud=True),
                label(2, sequence=3, decision_id="d-1", is_fraud=False, known_at=NOON + timedelta(days=2)),
                label(3, sequence=5, decision_id="d-1", is_fraud=False, known_at=NOON + timedelta(days=9)),
                label(4, sequence=6, decision_id=None, digest="0" * 16, values=[1.0, None, None]),
            ]
        )

        found = list(ledger.replay_history())

        known_s = (NOON + timedelta(days=7)).timestamp()
        assert [item.sequence for item in found] == [1, 2, 3, 4, 5]
        arrivals = [item for item in found if isinstance(item, LabelArrival)]
        assert [item.earlier for item in arrivals] == [None, (known_s, True), (known_s, True)]
        assert {tuple(item.values) for item in arrivals} == {tuple(entry(1).record.values)}
        assert arrivals[0].known_at_s == known_s

    def test_the_past_of_an_entity_ends_before_a_sequence_number(self, ledger: Ledger) -> None:
        ledger.store([entry(number) for number in range(1, 8)])
        ledger.store_labels([label(number, decision_id=f"d-{number}", sequence=10 + number) for number in (1, 3, 4)])

        events = ledger.decisions_of_entity("account", "account-1", before=7, limit=2)
        labels = ledger.labels_of_entity("account", "account-1", before=14, limit=2)

        assert [stored.sequence for stored in events] == [3, 5]
        assert [arrival.sequence for arrival in labels] == [11, 13]
        assert ledger.labels_of_entity("account", "account-1", before=11, limit=2) == []

    def test_gaps_in_the_sequence_are_counted_over_decisions_and_labels(self, ledger: Ledger) -> None:
        assert (ledger.first_sequence(), ledger.missing_sequences()) == (0, 0)
        ledger.store([entry(1, sequence=0), entry(2, sequence=3), entry(3, sequence=7)])
        ledger.store_labels([label(1, sequence=5), label(2, sequence=9)])

        assert (ledger.first_sequence(), ledger.missing_sequences()) == (3, 3)
