"""Champion and challenger on the newest matured block of the ledger, by the gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from config.contracts import ChampionPointer
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.evaluation.cost import CostModel
from ml.features.compiled import Floats
from ml.features.spec import FeatureSpec
from ml.gate.evidence import Contender, Evidence, Window
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import GateReport
from ml.ledger import Ledger
from ml.promotion.build import measure_build
from ml.quality.roll_up import learn_label_delay
from ml.registry import StoredBundle
from ml.training.baseline import fit_linear
from ml.training.candidates import pick_rows, training_rows
from ml.training.dataset import Dataset
from ml.training.served import ServedRows, read_served

SEED: Final = 0
LINEAR_ROWS: Final = 100_000
COSTS: Final = CostModel()


def gate_policy(settings: Settings, label_delay_s: float) -> GatePolicy:
    """The gate's bounds under these settings, with labels this late."""
    return GatePolicy(
        min_frauds=settings.gate_min_frauds,
        label_delay_s=label_delay_s,
        champion_max_age_s=float(settings.gate_champion_max_age_s),
    )


def label_delay_s(settings: Settings, ledger: Ledger, *, as_of: datetime) -> float:
    """The age from which a decision counts as matured at `as_of`, in seconds. Raises LedgerUnavailable."""
    set_s, is_fixed = float(settings.label_delay_s), settings.label_delay_fixed
    return learn_label_delay(ledger.quality, as_of, set_s, is_fixed=is_fixed).delay.delay_s


def read_matured(settings: Settings, ledger: Ledger, schema: Schema, *, as_of: datetime) -> ServedRows:
    """What had matured in the ledger at `as_of`, by the label delay that live quality goes by. Raises
    LedgerUnavailable.
    """
    spec = FeatureSpec.from_schema(schema, settings.history_events)
    delay_s = label_delay_s(settings, ledger, as_of=as_of)
    return read_served(ledger, schema, spec, as_of=as_of, label_delay_s=delay_s, policy=settings.label_policy)


def judge(
    settings: Settings, rows: ServedRows, champion: ChampionPointer, challenger: StoredBundle, *, as_of: datetime
) -> GateReport:
    """The gate's report on the newest matured block of `rows`.

    Raises:
        ModelRefused: the ledger has too few matured labels for a block to judge on.
        BundleRefused: a bundle is not what was published.
    """
    dataset = rows.dataset()
    old = load_bundle(settings.model_dir / champion.path, digest=champion.digest)
    directory = settings.model_dir / challenger.path
    new = load_bundle(directory, digest=challenger.digest, schema_digest=rows.spec.schema.digest)
    evidence = Evidence(
        window=block_window(dataset),
        champion=_contender(old, rows, dataset),
        challenger=_contender(new, rows, dataset),
        linear=_linear(dataset),
        build=measure_build(new, directory),
        as_of_s=as_of.timestamp(),
        champion_age_s=(as_of - datetime.fromisoformat(champion.promoted_at)).total_seconds(),
    )
    return decide(evidence, gate_policy(settings, rows.label_delay_s), rng=np.random.default_rng(SEED))


def block_window(dataset: Dataset) -> Window:
    """The newest block as the gate wants it; cards whose fraud was known before it do not count again."""
    block = dataset.split.test
    cards = np.full(len(block), -1, dtype=np.int64) if dataset.cards is None else dataset.cards[block]
    return Window(
        y=dataset.y[block],
        amount=COSTS.amounts(None if dataset.amount is None else dataset.amount[block], len(block)),
        cards=cards,
        days=dataset.days[block],
        times=dataset.times[block],
        known_cards=_known_cards(dataset),
        weight=dataset.weights(block),
    )


def _known_cards(dataset: Dataset) -> frozenset[int]:
    if dataset.cards is None:
        return frozenset()
    begins_s = float(dataset.times[dataset.split.test].min())
    known = (dataset.times < begins_s - dataset.split.gap_s) & (dataset.y > 0) & (dataset.cards >= 0)
    return frozenset(dataset.cards[known].tolist())


def _contender(bundle: Bundle, rows: ServedRows, dataset: Dataset) -> Contender:
    X = rows.matrix(bundle.featurizer.vocabularies, dataset.split.test)
    until_s = bundle.metadata.get("trained_until_s")
    return Contender(bundle.model_version, bundle.score(X), bundle.thresholds, until_s)


def _linear(dataset: Dataset) -> Floats:
    """Scores on the block of a linear model fitted on everything a challenger could have learned from."""
    split = dataset.split
    earlier = replace(dataset, split=replace(split, train=np.sort(np.concatenate([split.train, split.validate]))))
    rng = np.random.default_rng(SEED)
    rows = training_rows(earlier, pick_rows(earlier, good_per_fraud=None, most=LINEAR_ROWS, rng=rng), rng)
    scores: Floats = fit_linear(earlier, rows, seed=SEED).decision_function(dataset.X[split.test])
    return scores


def write_report(directory: Path, report: bytes) -> None:
    """Keep the gate's report beside the bundle, whose own files never change."""
    staged = directory / ".gate.json"
    staged.write_bytes(report)
    staged.replace(directory / "gate.json")
