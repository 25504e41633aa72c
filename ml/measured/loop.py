"""The whole loop on a replayed stream: each week a challenger is trained on what has matured, and the gate decides.

Features come from the code that serves, rows mature by the labels' delay, challengers come from the production
training, and the production gate judges them; only the web side and the queue are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from config.contracts import ChampionPointer
from config.errors import ModelRefused
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.evaluation.ranking import Ranked
from ml.features.compiled import Floats
from ml.promotion.judging import judge
from ml.promotion.retraining import train_on
from ml.registry import StoredBundle, promote
from ml.training.candidates import CANDIDATES, Candidate
from ml.training.dataset import Dataset
from ml.training.selection import Say
from ml.training.served import ServedRows

DAY_S: Final = 86_400.0
WEEK_S: Final = 7 * DAY_S
STATIC: Final = "static"
GATED: Final = "retrained"
NEWEST: Final = "newest challenger"
WEEKLY: Final = tuple(one for one in CANDIDATES if one.name == "few good payments")
"""What the weekly training tries: one candidate, and a quick one, because two dozen trainings must fit in minutes."""

Line = Callable[[ServedRows, float, Bundle], Floats]
"""The whole stream, when a week begins, the champion -> (n,) scores of the week's rows."""


@dataclass(frozen=True, slots=True)
class Week:
    """One week of the stream. `average_precision`: of each model on all of the week's payments.

    `gate`: what was decided at its beginning ("first model", an outcome of the gate, or "refused" by training);
    `gain`: the challenger's average precision over the champion's on the block that the gate judged by.
    """

    begins_s: float
    rows: int
    frauds: int
    gate: str
    gain: float | None
    average_precision: dict[str, float]

    @property
    def begins_on(self) -> str:
        """The date, UTC."""
        return datetime.fromtimestamp(self.begins_s, UTC).date().isoformat()


@dataclass(slots=True)
class Loop:
    """`rows`: the whole stream in time order; `settings`: where bundles go, and the schema file.

    `others`: models that are looked at beside, by name.
    """

    settings: Settings
    rows: ServedRows
    candidates: Sequence[Candidate] = WEEKLY
    others: Mapping[str, Line] = field(default_factory=dict)
    _champion: ChampionPointer | None = None
    _bundles: dict[str, Bundle] = field(default_factory=dict)

    def run(self, first_s: float, weeks: int, say: Say) -> list[Week]:
        """`weeks` weeks from `first_s` on (Unix seconds), the first model trained just before.

        Raises:
            ModelRefused: the first model cannot be trained.
        """
        return [self._week(first_s + number * WEEK_S, say) for number in range(weeks)]

    def _week(self, begins_s: float, say: Say) -> Week:
        now = datetime.fromtimestamp(begins_s, UTC)
        matured = rows_until(self.rows, begins_s - self.rows.label_delay_s)
        gate, gain = self._retrain(matured, now)
        week = self._look(begins_s, gate, gain)
        figures = ", ".join(f"{name} {value:.3f}" for name, value in week.average_precision.items())
        say(f"{now:%Y-%m-%d}: {gate}; {figures}")
        return week

    def _retrain(self, matured: ServedRows, now: datetime) -> tuple[str, float | None]:
        try:
            stored = train_on(self.settings, matured, now=now, say=lambda _: None, candidates=self.candidates)
        except ModelRefused:
            if self._champion is None:
                raise
            return "refused", None
        self._bundles[NEWEST] = self._load(stored)
        if self._champion is None:
            self._bundles[STATIC] = self._bundles[NEWEST]
            self._promote(stored)
            return "first model", None
        report = judge(self.settings, matured, self._champion, stored, as_of=now)
        if report.outcome == "promote":
            self._promote(stored)
        gain = next(check.figure for check in report.checks if check.name == "average_precision_gain")
        return report.outcome, gain

    def _load(self, stored: StoredBundle) -> Bundle:
        return load_bundle(self.settings.model_dir / stored.path, digest=stored.digest)

    def _promote(self, stored: StoredBundle) -> None:
        self._champion = promote(None, self.settings.model_dir, stored)
        self._bundles[GATED] = self._bundles[NEWEST]

    def _look(self, begins_s: float, gate: str, gain: float | None) -> Week:
        first, end = self.rows.times.searchsorted([begins_s, begins_s + WEEK_S])
        X, y = self.rows.X[first:end], self.rows.y[first:end]
        scores = {name: bundle.score(X) for name, bundle in self._bundles.items()}
        scores |= {name: line(self.rows, begins_s, self._bundles[GATED]) for name, line in self.others.items()}
        found = {name: Ranked(y, score).average_precision() for name, score in scores.items()}
        return Week(begins_s, len(y), int(y.sum()), gate, gain, found)


def loop_settings(directory: Path, schema_file: Path, rows: ServedRows) -> Settings:
    """Settings of a loop of its own: bundles below `directory`, whatever the environment says, and no MLflow."""
    return Settings(
        data_dir=directory,
        model_dir=directory / "models",
        schema_file=schema_file,
        history_events=rows.spec.history_events,
        label_delay_s=int(rows.label_delay_s),
        mlflow_enabled=False,
    )


def served_rows(dataset: Dataset, label_delay_s: float) -> ServedRows:
    """A replayed data set as the ledger would hold it; for schemas without categories, in time order."""
    return ServedRows(
        X=dataset.X,
        texts={},
        y=dataset.y,
        times=dataset.times,
        amount=dataset.amount,
        cards=dataset.cards,
        spec=dataset.spec,
        label_delay_s=label_delay_s,
    )


def rows_until(rows: ServedRows, until_s: float) -> ServedRows:
    """What had happened by then: views, nothing is copied."""
    end = int(rows.times.searchsorted(until_s, side="right"))
    return replace(
        rows,
        X=rows.X[:end],
        y=rows.y[:end],
        times=rows.times[:end],
        amount=None if rows.amount is None else rows.amount[:end],
        cards=None if rows.cards is None else rows.cards[:end],
    )


def weeks_to_recover(weeks: Sequence[Week], drift_s: float, *, within: float = 0.05) -> int | None:
    """Whole weeks from the drift until the gated model comes within `within` of the mean it had before; None: it
    never does.
    """
    before = [week.average_precision[GATED] for week in weeks if week.begins_s < drift_s]
    usual = sum(before) / len(before)
    after = [week.average_precision[GATED] for week in weeks if week.begins_s >= drift_s]
    return next((number for number, found in enumerate(after) if number and found >= usual - within), None)
