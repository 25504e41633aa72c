"""The tables of docs/model-quality.md, between its markers, and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.bench.markdown import table
from deploy.quality.results import PARTS, Results
from ml.measured.figures import Figures
from ml.measured.loop import Week
from ml.measured.pictures import plot_loop
from ml.measured.published import Protocol
from ml.measured.streams import Replayed

PAGE: Final = "model-quality.md"
BEGIN: Final = "<!-- quality:begin -->"
END: Final = "<!-- quality:end -->"
PUBLISHED: Final = (
    ("published: logistic regression (ch. 3)", "-", ".871 .606 .291"),
    ("published: random forest (ch. 3)", "-", ".867 .658 .287"),
    ("published: boosted trees, tuned (ch. 5), best on the test days", ".872 .694 .304", "-"),
    ("published: balanced bagging (ch. 6)", ".879 .680 .305", "-"),
    ("published: neural network (ch. 7)", ".876 .675 .303", "-"),
)
PICTURES: Final = {
    "stationary": "The loop on the handbook's data as it is",
    "drift": "The loop when a new kind of fraud begins",
}
HEADINGS: Final = {
    "protocol": "The handbook's protocol",
    "sparkov": "Sparkov",
    "http": "The same through the HTTP API",
    "stationary": "The loop, week by week: the data as it is",
    "drift": "The loop, week by week: a new kind of fraud",
}


def write_page(results: Results, directory: Path) -> None:
    """Put the tables between the markers, and the pictures into `pictures/`. Text outside the markers stays."""
    directory.mkdir(parents=True, exist_ok=True)
    page = directory / PAGE
    text = page.read_text() if page.exists() else "# Model quality\n"
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text(f"{head.rstrip()}\n\n{BEGIN}\n{as_markdown(results)}\n{END}{tail.rstrip()}\n")
    for part, title in PICTURES.items():
        if replayed := getattr(results, part):
            (directory / "pictures").mkdir(exist_ok=True)
            (directory / "pictures" / f"loop-{part}.png").write_bytes(plot_loop(replayed, title))


def as_markdown(results: Results) -> str:
    """The sections of the parts that were measured."""
    bodies = {
        "protocol": protocol_table(results.protocol) if results.protocol else "",
        "sparkov": _sparkov(results),
        "http": _http(results),
        "stationary": _loop(results.stationary, "stationary"),
        "drift": _loop(results.drift, "drift"),
    }
    parts = [f"## {HEADINGS[part]}\n\n{bodies[part]}\n\n{_about(results, part)}" for part in PARTS if bodies[part]]
    return "\n\n".join(parts)


def protocol_table(protocol: Protocol) -> str:
    """ROC AUC, average precision and card precision@100, beside the published ones."""
    ours = [
        (f"**Tollgate, {one.training_days} days of training** ({one.chosen})", _three(one.mean), _three(one.each[0]))
        for one in protocol.chosen
    ]
    best = protocol.best
    name = f"Tollgate, {best.training_days} days, best on the test days ({best.chosen})"
    rows = [*PUBLISHED, *ours, (name, _three(best.mean), _three(best.each[0]))]
    return table(("model", "mean of four folds", "first fold"), rows)


def _sparkov(results: Results) -> str:
    found = results.sparkov
    if found is None:
        return ""
    row = (f"{found.columns} columns, {found.chosen}", f"{found.roc_auc:.4f}", f"{found.average_precision:.3f}")
    return table((f"on {found.rows:,} rows with {found.frauds:,} frauds", "ROC AUC", "average precision"), [row])


def _http(results: Results) -> str:
    found = results.http
    if found is None:
        return ""
    rows = [("offline", _three(found.offline)), ("over HTTP", _three(found.online))]
    return (
        f"{found.transactions:,} transactions and {found.labels:,} labels were sent; {found.one_by_one:,} of the "
        "transactions one by one through `POST /predict`, the others through `POST /batches`. **Largest difference "
        f"between an answer and the offline score: {found.largest_difference:.1e}.**\n\n"
        f"{table(('test days of the first fold', 'ROC AUC, average precision, card precision@100'), rows)}"
    )


def _loop(replayed: Replayed | None, part: str) -> str:
    if replayed is None:
        return ""
    names = list(replayed.weeks[0].average_precision)
    rows = [_week_row(week, names) for week in replayed.weeks]
    header = ("week from", "frauds", "gate", "gain on the judged block", *names)
    return "\n\n".join([_summary(replayed), table(header, rows), f"![week by week](pictures/loop-{part}.png)"])


def _summary(replayed: Replayed) -> str:
    promoted = sum(week.gate == "promote" for week in replayed.weeks)
    judged = sum(week.gain is not None for week in replayed.weeks)
    said = f"The gate promoted {promoted} of {judged} challengers."
    if replayed.drift_s is None:
        return said
    if replayed.recovered_after is None:
        return f"{said} The average precision of before did not come back."
    return f"{said} What it was before was back {replayed.recovered_after} weeks after the new fraud began."


def _week_row(week: Week, names: Sequence[str]) -> tuple[str, ...]:
    gain = "-" if week.gain is None else f"{week.gain:+.3f}"
    figures = (_short(week.average_precision[name]) for name in names)
    return (week.begins_on, f"{week.frauds:,}", week.gate.replace("_", " "), gain, *figures)


def _about(results: Results, part: str) -> str:
    run = results.runs[part]
    return f"{run.at}, `{run.command}`, {run.seconds / 60:.1f} minutes: {run.machine}"


def _three(figures: Figures) -> str:
    return " ".join(_short(value) for value in (figures.roc_auc, figures.average_precision, figures.card_precision))


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
