"""Champion and challenger on the newest matured transactions of the ledger, by the gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.contracts import ChampionPointer, ScoreProfile
from config.schema.model import Schema
from config.settings import Settings
from ml.bundle import Bundle, load_bundle
from ml.costs_in_force import costs_in_force
from ml.evaluation.cost import CostModel
from ml.features.compiled import Floats, Integers
from ml.features.spec import FeatureSpec
from ml.gate.evidence import Contender, Evidence, Window
from ml.gate.gate import decide
from ml.gate.policy import GatePolicy
from ml.gate.verdict import GateReport
from ml.guard.counts import BINS, SCORE_EDGES
from ml.ledger import Ledger
from ml.promotion.build import measure_build
from ml.promotion.shadowed import ShadowScores, paired_rows
from ml.quality.roll_up import learn_label_delay
from ml.registry import StoredBundle
from ml.training.baseline import fit_linear
from ml.training.candidates import pick_rows, training_rows
from ml.training.dataset import Dataset
from ml.training.served import ServedRows, read_served

SEED: Final = 0
LINEAR_ROWS: Final = 100_000
Mask = NDArray[np.bool_]


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
    settings: Settings,
    rows: ServedRows,
    champion: ChampionPointer,
    challenger: StoredBundle,
    *,
    as_of: datetime,
    shadows: ShadowScores | None = None,
) -> GateReport:
    """The gate's report: on what both models scored at the time, where `shadows` has enough matured frauds of it; else
    on the newest matured block of `rows`, scored now.

    Raises:
        ModelRefused: the ledger has too few matured labels for a block to judge on.
        BundleRefused: a bundle is not what was published.
    """
    dataset, costs = rows.dataset(), costs_in_force(settings, rows.spec.schema)
    old = load_bundle(settings.model_dir / champion.path, digest=champion.digest)
    directory = settings.model_dir / challenger.path
    new = load_bundle(directory, digest=challenger.digest, schema_digest=rows.spec.schema.digest)
    paired = shadows and paired_rows(rows, shadows, min_frauds=settings.gate_min_frauds)
    block = paired.rows if paired else dataset.split.test
    evidence = Evidence(
        window=block_window(dataset, block, costs),
        champion=_contender(old, paired.champion if paired else _score(old, rows, block)),
        challenger=_contender(new, paired.challenger if paired else _score(new, rows, block)),
        linear=_linear(dataset, block),
        build=measure_build(new, directory),
        as_of_s=as_of.timestamp(),
        champion_age_s=(as_of - datetime.fromisoformat(champion.promoted_at)).total_seconds(),
    )
    policy = gate_policy(settings, rows.label_delay_s)
    report = decide(evidence, policy, rng=np.random.default_rng(SEED), costs=costs)
    judged_on = "shadow_scores" if paired else "newest_block"
    return msgspec.structs.replace(report, judged_on=judged_on, profile=_profile(evidence.challenger))


def block_window(dataset: Dataset, block: Integers, costs: CostModel) -> Window:
    """The block as the gate wants it; cards whose fraud was known before it do not count again.

    `costs` fill the gaps in the amount.
    """
    cards = np.full(len(block), -1, dtype=np.int64) if dataset.cards is None else dataset.cards[block]
    return Window(
        y=dataset.y[block],
        amount=costs.amounts(None if dataset.amount is None else dataset.amount[block], len(block)),
        cards=cards,
        days=dataset.days[block],
        times=dataset.times[block],
        known_cards=_known_cards(dataset, block),
        weight=dataset.weights(block),
    )


def _known_cards(dataset: Dataset, block: Integers) -> frozenset[int]:
    if dataset.cards is None:
        return frozenset()
    known = _before(dataset, block) & (dataset.y > 0) & (dataset.cards >= 0)
    return frozenset(dataset.cards[known].tolist())


def _before(dataset: Dataset, block: Integers) -> Mask:
    """(n,) the rows whose labels were known when the block began."""
    before: Mask = dataset.times < float(dataset.times[block].min()) - dataset.split.gap_s
    return before


def _score(bundle: Bundle, rows: ServedRows, block: Integers) -> Floats:
    return bundle.score(rows.matrix(bundle.featurizer.vocabularies, block))


def _contender(bundle: Bundle, probability: Floats) -> Contender:
    return Contender(bundle.model_version, probability, bundle.thresholds, bundle.metadata.get("trained_until_s"))


def _profile(contender: Contender) -> ScoreProfile:
    probability = contender.probability
    bins = np.bincount(np.searchsorted(SCORE_EDGES, probability, side="right"), minlength=BINS)
    alerts = int((probability >= contender.thresholds.review).sum())
    return ScoreProfile(len(probability), alerts, bins.tolist())


def _linear(dataset: Dataset, block: Integers) -> Floats:
    """Scores on the block of a linear model fitted on everything a challenger could have learned from."""
    split = dataset.split
    learned = np.sort(np.concatenate([split.train, split.validate]))
    train = learned[_before(dataset, block)[learned]]
    earlier = replace(dataset, split=replace(split, train=train))
    rng = np.random.default_rng(SEED)
    rows = training_rows(earlier, pick_rows(earlier, good_per_fraud=None, most=LINEAR_ROWS, rng=rng), rng)
    scores: Floats = fit_linear(earlier, rows, seed=SEED).decision_function(dataset.X[block])
    return scores


def write_report(directory: Path, report: bytes) -> None:
    """Keep the gate's report beside the bundle, whose own files never change."""
    staged = directory / ".gate.json"
    staged.write_bytes(report)
    staged.replace(directory / "gate.json")
