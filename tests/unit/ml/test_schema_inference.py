"""Drafts made from data: what is guessed, and that every draft can be used as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from config.errors import SchemaInvalid
from config.schema.convert import compile_conversion
from config.schema.load import parse_schema
from config.schema.model import Schema
from config.schema.validate import compile_validator
from ml.drafting.sample import read_sample
from ml.features.spec import FeatureSpec
from ml.schema_inference import infer_schema

ROWS = 2000
RNG = np.random.default_rng(7)
IS_FRAUD = (np.arange(ROWS) % 50 == 0).astype(int)


def draft(frame: pd.DataFrame, tmp_path: Path, *, suffix: str = "csv", label: str | None = None) -> Schema:
    """The parsed draft of a frame written to disk, proved usable for features and validation."""
    path = tmp_path / f"data.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    schema = parse_schema(infer_schema(path, label))
    FeatureSpec.from_schema(schema)
    check_rows(schema, pd.read_csv(path) if suffix == "csv" else frame)
    return schema


def check_rows(schema: Schema, frame: pd.DataFrame) -> None:
    """Rows of the data, sent as JSON, are valid transactions."""
    validator = compile_validator(schema)
    fields = [field.name for field in schema.fields if field.name in frame]
    for row in json.loads(frame[fields].head(20).to_json(orient="records", date_format="iso")):
        validator.validate(row)


def payments(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "trans_id": np.arange(ROWS) + 10,
            "trans_date_time": pd.date_range("2024-01-01", periods=ROWS, freq="37min").strftime("%Y-%m-%d %H:%M:%S"),
            "customerId": RNG.integers(100, 200, ROWS),
            "Merchant Name": RNG.choice([f"shop {i}" for i in range(300)], ROWS),
            "amt (EUR)": RNG.lognormal(3, 1, ROWS).round(2),
            "channel": RNG.choice(["web", "pos"], ROWS),
            **columns,
            "is_fraud": IS_FRAUD,
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_parts_of_a_payment_are_recognised(tmp_path: Path, suffix: str) -> None:
    schema = draft(payments(), tmp_path, suffix=suffix)
    roles = schema.roles
    assert (roles.label, roles.amount, roles.event_time) == ("is_fraud", "amt (EUR)", "trans_date_time")
    assert roles.transaction_id == "trans_id"
    assert roles.entities == (("customer", "customerId"), ("merchant", "Merchant Name"))
    assert schema.by_name["amt (EUR)"].min == 0
    assert schema.by_name["channel"].type == "category"
    assert {f.aggregate for f in schema.features} >= {"count", "mean", "ratio_to_mean", "fraud_rate"}
    assert schema.by_name["hour"].derived is not None
    assert "is_fraud" not in schema.by_name


def test_thirty_anonymous_numbers_with_a_counter_for_time(tmp_path: Path) -> None:
    columns = {f"V{i}": RNG.normal(size=ROWS) for i in range(1, 29)}
    seconds = np.sort(RNG.integers(0, 172_792, ROWS)).astype(float)
    rare = (np.arange(ROWS) % 588 == 3).astype(int)
    frame = pd.DataFrame({"Time": seconds, **columns, "Amount": RNG.lognormal(3, 1, ROWS), "Class": rare})
    schema = draft(frame, tmp_path)
    assert schema.roles.label == "Class"
    assert schema.by_name["Time"].format == "unix"
    assert len(schema.model_fields) == 29
    assert schema.features == ()


def test_a_hundred_mixed_columns_half_missing(tmp_path: Path) -> None:
    frame = payments()
    for i in range(100):
        values = pd.Series([RNG.normal(size=ROWS), RNG.integers(0, 9, ROWS), RNG.choice(["a", "b"], ROWS)][i % 3])
        frame[f"C.{i} ü"] = values.mask(RNG.random(ROWS) < 0.5)
    schema = draft(frame, tmp_path)
    mixed = [field for field in schema.model_fields if field.name.startswith("C.")]
    assert len(mixed) == 100
    assert all(field.nullable and not field.required for field in mixed)
    assert {field.type for field in mixed} == {"number", "category"}


def test_numbers_without_time_entity_or_amount(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": RNG.normal(size=ROWS), "z": RNG.normal(size=ROWS), "y": IS_FRAUD})
    schema = draft(frame, tmp_path)
    assert (schema.roles.event_time, schema.roles.amount, schema.features) == (None, None, ())


def test_entities_without_a_time_have_features_without_windows(tmp_path: Path) -> None:
    schema = draft(payments().drop(columns="trans_date_time"), tmp_path)
    assert schema.features
    assert {feature.window_s for feature in schema.features} == {None}
    assert not {feature.aggregate for feature in schema.features} & {"fraud_rate", "time_since_last"}


def test_what_gives_the_label_away_is_kept_from_the_model(tmp_path: Path) -> None:
    scenario = np.where(IS_FRAUD, np.arange(ROWS) % 3 + 1, 0)
    frame = payments(fraud_scenario=scenario, copy=np.where(IS_FRAUD, "b", "a"), fine=RNG.integers(0, 3, ROWS))
    text = infer_schema(write(frame, tmp_path))
    schema = parse_schema(text)
    assert [schema.by_name[name].model for name in ("fraud_scenario", "copy", "fine")] == [False, False, True]
    assert text.count("# It gives the label away") == 2


def test_a_number_that_separates_perfectly_is_doubted_not_dropped(tmp_path: Path) -> None:
    text = infer_schema(write(payments(risk=IS_FRAUD * 10 + RNG.random(ROWS)), tmp_path))
    assert parse_schema(text).by_name["risk"].model
    assert "# Suspicious" in text


def write(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    return path


def test_columns_that_cannot_teach_are_set_aside(tmp_path: Path) -> None:
    frame = payments(
        row=np.arange(ROWS),
        constant=1,
        empty=None,
        comment=[f"text {i}" for i in range(ROWS)],
        unix_time=np.arange(ROWS),
    )
    schema = draft(frame, tmp_path)
    for name in ("row", "constant", "empty", "comment", "unix_time"):
        field = schema.by_name[name]
        assert (field.model, field.required, field.nullable) == (False, False, True)


def test_card_numbers_are_no_input_and_appear_nowhere(tmp_path: Path) -> None:
    cards = ["4539578763621486", "4716461583322103", "4485040371536584"]
    frame = payments(card_number=[int(cards[i % 3]) for i in range(ROWS)], cc_num=RNG.integers(1, 90, ROWS))
    text = infer_schema(write(frame, tmp_path))
    assert not any(card in text for card in cards)
    assert parse_schema(text).by_name["card_number"].model is False


@pytest.mark.parametrize(
    ("values", "unit", "first"),
    [
        (np.arange(ROWS) * 60 + 1_700_000_000, "s", 1_700_000_000.0),
        (np.arange(ROWS) * 60_000 + 1_700_000_000_000, "ms", 1_700_000_000.0),
        (np.arange(ROWS)[::-1] * 1000 + 1_700_000_000_000_000, "us", 1_700_000_001.999),
    ],
)
@pytest.mark.parametrize("name", ["ts", "when"])
def test_unix_times_are_read_in_their_unit(
    tmp_path: Path, values: np.ndarray, unit: str, first: float, name: str
) -> None:
    schema = draft(payments().assign(trans_date_time=values).rename(columns={"trans_date_time": name}), tmp_path)
    field = schema.by_name[name]
    assert schema.roles.event_time == name
    assert (field.format, field.unit or "s") == ("unix", unit)
    assert compile_conversion(schema.by_name[name])(values[0]) == pytest.approx(first)


@pytest.mark.parametrize(
    "pattern", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]
)
def test_dates_are_read_in_the_way_they_are_written(tmp_path: Path, pattern: str) -> None:
    times = pd.date_range("2024-01-01", periods=ROWS, freq="37min")
    schema = draft(payments().assign(trans_date_time=times.strftime(pattern)), tmp_path)
    texts = times.strftime(pattern)
    seconds = [compile_conversion(schema.by_name["trans_date_time"])(text) for text in (texts[0], texts[-1])]
    assert seconds[0] == 1_704_067_200
    assert seconds[1] == pytest.approx(times[-1].timestamp(), abs=86_400)


def test_true_and_false_are_booleans_and_zero_and_one_are_integers(tmp_path: Path) -> None:
    flags = RNG.random(ROWS) < 0.5
    frame = payments(
        yes=flags, maybe=pd.Series(flags, dtype=object).mask(RNG.random(ROWS) < 0.1), bit=flags.astype(int)
    )
    schema = draft(frame, tmp_path)
    assert [schema.by_name[name].type for name in ("yes", "maybe", "bit")] == ["boolean", "boolean", "integer"]


@pytest.mark.parametrize("words", [("Y", "N"), ("fraud", "legit"), (True, False), (1.0, 0.0)])
def test_labels_may_be_words(tmp_path: Path, words: tuple[object, object]) -> None:
    frame = payments().rename(columns={"is_fraud": "fraud reported"})
    frame["fraud reported"] = [words[0] if fraud else words[1] for fraud in IS_FRAUD]
    assert draft(frame, tmp_path).roles.label == "fraud reported"


def test_the_users_label_wins_and_is_checked(tmp_path: Path) -> None:
    frame = payments(other=IS_FRAUD[::-1])
    assert draft(frame, tmp_path, label="other").roles.label == "other"
    with pytest.raises(ValueError, match='Did you mean "is_fraud"'):
        draft(frame, tmp_path, label="isfraud")
    with pytest.raises(ValueError, match="is no label"):
        draft(frame, tmp_path, label="customerId")


def test_columns_that_cannot_be_fields_are_left_out_with_a_word(tmp_path: Path) -> None:
    frame = payments(**{"two\nlines": 1.5})
    path = tmp_path / "data.parquet"
    frame.assign(pairs=[[1, 2]] * ROWS).to_parquet(path)
    text = infer_schema(path)
    assert "column 'two\\nlines' cannot be a field" in text
    assert "column 'pairs' cannot be a field" in text
    assert not {"two\nlines", "pairs"} & set(parse_schema(text).by_name)


def test_a_file_with_nothing_but_a_label_cannot_become_a_schema(tmp_path: Path) -> None:
    with pytest.raises(SchemaInvalid, match="no column besides the label 'is_fraud'"):
        infer_schema(write(pd.DataFrame({"is_fraud": IS_FRAUD}), tmp_path))


@pytest.mark.parametrize(("value", "word"), [(0, "genuine"), ("Fraud", "fraud")])
def test_a_label_that_never_changes_is_named(tmp_path: Path, value: object, word: str) -> None:
    with pytest.raises(ValueError, match=f'"is_fraud" says {word} .* in every row'):
        infer_schema(write(payments().assign(is_fraud=value), tmp_path))


def test_a_column_that_falls_from_row_to_row_is_set_aside(tmp_path: Path) -> None:
    frame = payments(row_number=np.arange(ROWS)[::-1]).drop(columns="trans_date_time")
    text = infer_schema(write(frame, tmp_path))
    assert parse_schema(text).by_name["row_number"].model is False
    assert "sort the file oldest first" in text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PAR1 not really", b"a,b\n"])
def test_files_that_cannot_be_read_are_refused_with_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.csv"):
        infer_schema(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_sample_is_spread_over_the_whole_file(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"i": np.arange(1000), "gap": [None, *[1.0] * 999]})
    path = tmp_path / f"data.{suffix}"
    frame.to_csv(path, index=False, sep=";") if suffix == "csv" else frame.to_parquet(path)
    sample = read_sample(path, limit=100)
    assert sample.frame["i"].tolist() == list(range(0, 1000, 10))
    assert (sample.rows, set(sample.with_nulls)) == (1000, {"gap"})


@pytest.mark.parametrize(
    ("name", "entities"),
    [
        ("handbook", (("customer", "CUSTOMER_ID"), ("terminal", "TERMINAL_ID"))),
        ("sparkov", (("customer", "cust"), ("merchant", "merchant"))),
    ],
)
def test_the_real_files_are_understood(
    name: str, entities: tuple[tuple[str, str], ...], tmp_path: Path, data_dir_real: Path
) -> None:
    part = next(pq.ParquetFile(data_dir_real / f"{name}.parquet").iter_batches(20_000))
    slice_path = tmp_path / f"{name}.parquet"
    part.to_pandas().to_parquet(slice_path)
    schema = parse_schema(infer_schema(slice_path))
    check_rows(schema, part.to_pandas())
    assert schema.roles.entities == entities
    assert not any("SCENARIO" in field.name or field.name == "cc_num" for field in schema.model_fields)


def test_other_times_become_days_since_then_unless_they_are_known_too_late(tmp_path: Path) -> None:
    paid = pd.date_range("2024-01-01", periods=ROWS, freq="37min")
    frame = payments(
        dob=RNG.choice(pd.date_range("1950-01-01", "2005-01-01").strftime("%d/%m/%Y"), ROWS),
        card_expires=(paid + pd.to_timedelta(RNG.integers(1, 900, ROWS), unit="D")).strftime("%Y-%m-%d"),
        seen_by_police=pd.Series((paid + pd.Timedelta("9D")).strftime("%Y-%m-%d")).where(IS_FRAUD == 1),
        updated_at=(paid + pd.Timedelta("1D")).strftime("%Y-%m-%d %H:%M:%S"),
        arrives=(paid + pd.to_timedelta(RNG.integers(1, 9, ROWS), unit="D")).strftime("%Y-%m-%d"),
        days_since_dob=RNG.integers(0, 9, ROWS),
    )

    schema = draft(frame, tmp_path)

    since = {field.derived.since: field.name for field in schema.model_fields if field.derived and field.derived.since}
    assert since == {"dob": "days_since_dob_2", "card_expires": "days_since_card_expires"}
    assert schema.by_name["days_since_dob_2"].unit == "days"
    assert schema.by_name["dob"].required is False
