"""A bundle that is not exactly what was published is refused; one that is scores as scikit-learn does."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

import ml.bundle
from config.errors import BundleRefused
from ml.bundle import BundleContents, load_bundle, save_bundle
from ml.calibration import Sigmoid
from ml.decisions import Thresholds
from ml.extra_columns import ExtraColumns, Rate, Tail

SCHEMA = """
name = "tiny"
version = 1
[roles]
amount = "amount"
label = "fraud"
[fields.amount]
type = "number"
unit = "EUR"
[fields.category]
type = "category"
[fields.is_new]
type = "boolean"
"""


def make_rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.lognormal(3, 1, n), rng.integers(0, 3, n), rng.integers(0, 2, n)]).astype(float)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


@pytest.fixture(scope="module")
def contents() -> BundleContents:
    X = make_rows(400, 0)
    y = np.nan_to_num(X[:, 0]) + 20 * (X[:, 1] == 1) > 40
    extra = ExtraColumns((Tail(0, 90.0),), (Rate(1, np.array([0.1, 0.5, 0.1, 0.2])),))
    trees = HistGradientBoostingClassifier(max_iter=9, max_depth=4, early_stopping=False)
    columns = extra.transform(X)
    columns[:, 1] = 0.0  # hidden by its rate
    trees.fit(columns, y)
    return BundleContents(
        schema_text=SCHEMA,
        history_events=128,
        vocabularies={"category": {"online": 0, "grocery": 1, "fuel": 2}},
        pipeline=Pipeline([("columns", extra), ("trees", trees)]),
        calibrator=Sigmoid(0.8, -0.3),
        thresholds=Thresholds(0.1, 0.6),
        typical=np.array([20.0, 1.0, 0.0]),
        metadata={"winner": "test"},
    )


@pytest.fixture
def published(contents: BundleContents, tmp_path: Path) -> tuple[Path, str]:
    directory = tmp_path / "tiny-1"
    digest = save_bundle(
        directory,
        contents,
        golden_rows=make_rows(8, 1),
        attachments={"report.json": b"{}", "report.md": b"#"},
    )
    return directory, digest


def test_a_published_bundle_comes_back_whole(published: tuple[Path, str]) -> None:
    directory, digest = published

    bundle = load_bundle(directory, digest=digest)

    assert (bundle.model_version, bundle.digest, bundle.metadata) == ("tiny-1", digest, {"winner": "test"})
    assert bundle.thresholds == Thresholds(0.1, 0.6)
    assert [column.name for column in bundle.columns] == ["amount", "category", "is_new"]
    assert bundle.columns[0].unit == "EUR"
    assert bundle.columns[2].values == {0: "false", 1: "true"}


def test_the_digest_is_the_hash_of_the_manifest(published: tuple[Path, str]) -> None:
    directory, digest = published

    assert hashlib.sha256((directory / "manifest.json").read_bytes()).hexdigest() == digest


def test_compiled_probabilities_equal_the_reference(published: tuple[Path, str]) -> None:
    bundle = load_bundle(published[0])
    X = make_rows(300, 2)

    np.testing.assert_allclose(bundle.score(X), bundle.reference(X), rtol=0, atol=1e-12)


def test_contributions_are_calibrated_log_odds_of_the_schemas_own_columns(
    published: tuple[Path, str],
) -> None:
    bundle = load_bundle(published[0])
    X = make_rows(50, 3)
    p = bundle.score(X)

    contributions = bundle.contributions(X)

    rest = np.log(p / (1 - p)) - contributions.sum(axis=1)
    assert contributions.shape == (50, 3)
    np.testing.assert_allclose(rest, rest[0], rtol=0, atol=1e-9)


def test_rows_that_the_featurizer_makes_can_be_scored(published: tuple[Path, str]) -> None:
    bundle = load_bundle(published[0])
    bundle.warm()

    X = bundle.featurizer.assemble([[20.0, "grocery", True], [None, "never seen", None]], [[], []], [0.0, 0.0]).X

    assert ((bundle.score(X) > 0) & (bundle.score(X) < 1)).all()


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["bundle.joblib", "golden.json", "report.md"])
@pytest.mark.parametrize(
    "damage",
    [flip_last_byte, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])],
    ids=["changed", "missing", "truncated"],
)
def test_a_damaged_file_is_refused(published: tuple[Path, str], name: str, damage: Callable[[Path], object]) -> None:
    damage(published[0] / name)

    with pytest.raises(BundleRefused, match=name):
        load_bundle(published[0])


def test_nothing_is_unpickled_before_its_digest_was_checked(
    published: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_last_byte(published[0] / "report.md")

    def fail(*_: object) -> object:
        raise AssertionError("unpickled a bundle that was not checked")

    monkeypatch.setattr(ml.bundle.joblib, "load", fail)

    with pytest.raises(BundleRefused):
        load_bundle(published[0])


def test_another_digest_than_the_pointer_names_is_refused(published: tuple[Path, str]) -> None:
    with pytest.raises(BundleRefused, match="expected"):
        load_bundle(published[0], digest="0" * 64)


def test_a_bundle_for_another_schema_is_refused(published: tuple[Path, str]) -> None:
    with pytest.raises(BundleRefused, match="trained for schema"):
        load_bundle(published[0], schema_digest="0" * 64)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"format": 2, "files": {}}', b'{"format": 1, "files": {}}'])
def test_a_manifest_that_is_none_is_refused(published: tuple[Path, str], manifest: bytes) -> None:
    (published[0] / "manifest.json").write_bytes(manifest)

    with pytest.raises(BundleRefused):
        load_bundle(published[0])


def test_a_directory_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"manifest\.json"):
        load_bundle(tmp_path / "nowhere")


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Change a file and make the manifest agree, as a wrong build would."""
    (directory / name).write_bytes(content)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (directory / "manifest.json").write_text(json.dumps(manifest))


def test_probabilities_that_do_not_come_out_are_refused(published: tuple[Path, str]) -> None:
    golden = json.loads((published[0] / "golden.json").read_text())
    golden["probabilities"][3] += 1e-6
    replace_file(published[0], "golden.json", json.dumps(golden).encode())

    with pytest.raises(BundleRefused, match="golden rows"):
        load_bundle(published[0])


def test_a_pickle_of_something_else_is_refused(published: tuple[Path, str]) -> None:
    pickled = io.BytesIO()
    joblib.dump({"not": "a bundle"}, pickled)
    replace_file(published[0], "bundle.joblib", pickled.getvalue())

    with pytest.raises(BundleRefused, match="holds a dict"):
        load_bundle(published[0])


def test_a_published_bundle_is_never_overwritten(published: tuple[Path, str], contents: BundleContents) -> None:
    with pytest.raises(FileExistsError):
        save_bundle(published[0], contents, golden_rows=make_rows(8, 1))


def test_compiled_trees_that_differ_are_never_published(
    contents: BundleContents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ml.bundle.Bundle, "score", lambda self, X: self.reference(X) + 1e-6)

    with pytest.raises(BundleRefused, match="compiled trees"):
        save_bundle(tmp_path / "tiny-1", contents, golden_rows=make_rows(8, 1))
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_cannot_be_written_whole_leaves_nothing_behind(contents: BundleContents, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save_bundle(
            tmp_path / "tiny-1",
            contents,
            golden_rows=make_rows(8, 1),
            attachments={"report.md": "text"},  # type: ignore[dict-item]
        )
    assert list(tmp_path.iterdir()) == []


def test_a_tail_column_holds_only_what_is_above_its_threshold() -> None:
    X = np.array([[5.0, 0.0], [50.0, 1.0], [np.nan, 2.0]])

    extended = ExtraColumns((Tail(0, 10.0),)).transform(X)

    assert np.array_equal(extended[:, 2], [np.nan, 50.0, np.nan], equal_nan=True)
    assert np.array_equal(extended[:, :2], X, equal_nan=True)


def test_a_rate_column_hides_its_category_and_knows_a_rate_for_unknown_ones() -> None:
    X = np.array([[0.0], [1.0], [np.nan]])

    extended = ExtraColumns(rates=(Rate(0, np.array([0.1, 0.9, 0.3])),)).transform(X)

    assert np.isnan(extended[:, 0]).all()
    assert extended[:, 1].tolist() == [0.1, 0.9, 0.3]


def test_what_extra_columns_contribute_goes_to_their_sources() -> None:
    extra = ExtraColumns((Tail(1, 10.0),), (Rate(0, np.array([0.1, 0.2])),))

    assert extra.fold(np.array([[1.0, 2.0, 10.0, 20.0]]), 2).tolist() == [[21.0, 12.0]]
