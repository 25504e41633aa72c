"""Every aggregate of the schema format is computed and explained."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from config.schema.model import Aggregate
from ml.features import kernel
from ml.features.plan import OPCODES, Operation, compile_operations

PAGE = (Path(__file__).parents[4] / "docs" / "features.md").read_text(encoding="utf-8")


def _operation(aggregate: Aggregate, *, column: int = 0, target: int = 0) -> Operation:
    return Operation(aggregate, 60.0, 0.0, column=column, default=None, target=target, keeps_sent=False)


def test_every_aggregate_has_an_opcode_of_its_own() -> None:
    assert set(OPCODES) == set(get_args(Aggregate))
    assert sorted([*OPCODES.values(), kernel.COUNT_VALUES]) == list(range(kernel.OPCODES))


@pytest.mark.parametrize("aggregate", get_args(Aggregate))
def test_every_aggregate_has_its_formula_in_the_docs(aggregate: Aggregate) -> None:
    assert f"`{aggregate}`" in PAGE


def test_features_of_one_window_share_its_measurement() -> None:
    windows, operations = compile_operations(
        [_operation("fraud_rate"), _operation("mean", column=1, target=1), _operation("sum", column=2, target=2)]
    )
    assert windows[:, kernel.COLUMN].tolist() == [1.0, 2.0]
    assert sorted(operations[:, kernel.TARGET].tolist()) == [0.0, 1.0, 2.0]
    assert windows[:, kernel.NEEDS_LABELS].tolist() == [1.0, 0.0]
