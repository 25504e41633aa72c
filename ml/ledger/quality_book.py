"""`QualityBook`: what live quality reads from the ledger and keeps in it. `Ledger.quality` is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ml.advisor.scores import DayScores
from ml.ledger import judged, score_days
from ml.ledger.engine import reading, writing
from ml.ledger.judged import PastDecision, RowIds
from ml.ledger.tables import quality_cells, quality_days, quality_state
from ml.quality.cells import Cell, Dimension, JudgedDecision, LabelDelay, QualityState, day_of, end_of, start_of

LOOK_ROWS: Final = 500_000
"""Most new decisions, and labels, that one look for changed days covers: a statement has 5 s."""
_STATE_ID: Final = 1
_NOTHING_SEEN: Final = {"decision_id": -1, "label_id": -1, "earlier_decision_id": -1, "earlier_label_id": -1}


class QualityBook:
    """Cells by day, the days that are due, and the decisions that they are made of. Threads may share it.

    Every method raises LedgerUnavailable, within seconds, when the database cannot be used.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def mark_changed_days(self) -> int:
        """Note the days of decisions and labels that are new since the look before the last; returns how many.

        Rows become visible in another order than they are numbered when several processes write, so each look
        repeats the one before: two looks must be further apart than a transaction takes.
        """
        with reading(self._engine) as connection:
            seen = connection.execute(select(quality_state)).mappings().first() or _NOTHING_SEEN
            earlier = RowIds(seen["earlier_decision_id"], seen["earlier_label_id"])
            newest = judged.newest_ids(connection)
            until = RowIds(
                min(newest.decision, max(seen["decision_id"], 0) + LOOK_ROWS),
                min(newest.label, max(seen["label_id"], 0) + LOOK_ROWS),
            )
            changed = judged.days_between(connection, earlier, until)
        looked = {
            "decision_id": until.decision,
            "label_id": until.label,
            "earlier_decision_id": seen["decision_id"],
            "earlier_label_id": seen["label_id"],
        }
        with writing(self._engine) as connection:
            for day in changed:
                self._upsert(connection, quality_days, {"day": day}, {"is_due": True})
            self._upsert(connection, quality_state, {"id": _STATE_ID}, looked)
        return len(changed)

    def mark_young_days(self, first: str, *, rolled_before: datetime) -> None:
        """Note the days from `first` on that were last rolled up before a moment: their estimates age."""
        stale = or_(quality_days.c.rolled_at.is_(None), quality_days.c.rolled_at < rolled_before)
        with writing(self._engine) as connection:
            connection.execute(update(quality_days).where(quality_days.c.day >= first, stale).values(is_due=True))

    def due_days(self) -> list[str]:
        """The days whose cells are out of date, the one rolled up longest ago first."""
        query = (
            select(quality_days.c.day)
            .where(quality_days.c.is_due.is_(True))
            .order_by(quality_days.c.rolled_at.is_not(None), quality_days.c.rolled_at, quality_days.c.day)
        )
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def judged_on(self, day: str, *, segment: str | None, account: str | None) -> list[JudgedDecision]:
        """The scored decisions of a day, each with the label that counts now and the values of these fields."""
        with reading(self._engine) as connection:
            return list(judged.read_judged(connection, start_of(day), end_of(day), segment=segment, account=account))

    def past_pages(self, day: str, *, account: str | None) -> Iterator[list[PastDecision]]:
        """The scored decisions of a day with features and values, page by page; no transaction is open in between."""
        after = (start_of(day), -1)
        while True:
            with reading(self._engine) as connection:
                page = judged.past_page(connection, start_of(day), end_of(day), account=account, after=after)
            if page:
                yield page
            if len(page) < judged.PAST_ROWS:
                return
            after = (page[-1].event_at, page[-1].row_id)

    def count_degraded(self, since: datetime, until: datetime) -> int:
        """How many decisions of a stretch of event time were made by the rules alone."""
        with reading(self._engine) as connection:
            return judged.count_degraded(connection, since, until)

    def known_for_fraud(self, entity: str, values: Sequence[str], *, before: datetime) -> set[str]:
        """Those accounts that were known for fraud before a moment."""
        with reading(self._engine) as connection:
            return judged.accounts_known_for_fraud(connection, entity, values, before)

    def fraud_delays(self) -> list[tuple[float, datetime]]:
        """(event time in Unix seconds, first known) of the frauds with the newest labels."""
        with reading(self._engine) as connection:
            return judged.fraud_delays(connection)

    def store_day(
        self, day: str, cells: Sequence[Cell], *, rolled_at: datetime, scores: Sequence[DayScores] = ()
    ) -> None:
        """Replace the cells and scores of a day; it is no longer due."""
        with writing(self._engine) as connection:
            score_days.replace_day(connection, day, scores)
            connection.execute(delete(quality_cells).where(quality_cells.c.day == day))
            if cells:
                connection.execute(insert(quality_cells), [msgspec.to_builtins(cell) for cell in cells])
            self._upsert(connection, quality_days, {"day": day}, {"is_due": False, "rolled_at": rolled_at})

    def store_state(self, state: QualityState) -> None:
        """Keep what the cells were made with."""
        used = {
            "rolled_at": state.rolled_at,
            "delay_s": state.delay.delay_s,
            "is_delay_learned": state.delay.is_learned,
            "delay_labels": state.delay.labels,
            "k": state.k,
        }
        with writing(self._engine) as connection:
            connection.execute(update(quality_state).where(quality_state.c.id == _STATE_ID).values(**used))

    def state(self) -> QualityState | None:
        """What the cells were made with; None before the first roll-up."""
        with reading(self._engine) as connection:
            row = connection.execute(select(quality_state)).mappings().first()
        if row is None or row["rolled_at"] is None:
            return None
        return QualityState(
            row["rolled_at"], LabelDelay(row["delay_s"], row["is_delay_learned"], row["delay_labels"]), row["k"]
        )

    def newest_event_day(self, *, before: datetime) -> str | None:
        """The day of the latest decision before a moment, rolled up or not; None without any."""
        with reading(self._engine) as connection:
            found = judged.newest_event_at(connection, before)
        return None if found is None else day_of(found)

    def newest_day(self, *, before: str) -> str | None:
        """The last day that has cells, before a day; None without any."""
        query = select(func.max(quality_cells.c.day)).where(quality_cells.c.day < before)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def cells(self, dimension: Dimension, *, since: str | None = None, until: str | None = None) -> list[Cell]:
        """The cells of a dimension with `since <= day < until`, by day."""
        query = select(quality_cells).where(quality_cells.c.dimension == dimension)
        if since is not None:
            query = query.where(quality_cells.c.day >= since)
        if until is not None:
            query = query.where(quality_cells.c.day < until)
        query = query.order_by(quality_cells.c.day, quality_cells.c.value)
        with reading(self._engine) as connection:
            return [_cell(row) for row in connection.execute(query).mappings()]

    def scores(self, *, since: str, until: str) -> list[DayScores]:
        """The sums by score bin of the days in [since, until), by day and model version."""
        with reading(self._engine) as connection:
            return score_days.scores_between(connection, since, until)

    @staticmethod
    def _upsert(connection: Connection, into: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(into).values(key | values)
        connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def _cell(row: RowMapping) -> Cell:
    return msgspec.convert({name: row[name] for name in Cell.__struct_fields__}, Cell)
