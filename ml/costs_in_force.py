"""The cost matrix that training, the gate and live quality reckon with: the policy file's."""

from __future__ import annotations

from config.schema.model import Schema
from config.settings import Settings
from ml.evaluation.cost import CostModel
from ml.policy_in_force import policy_in_force


def costs_in_force(settings: Settings, schema: Schema) -> CostModel:
    """The costs of the policy file as it is now. Raises SettingInvalid."""
    return CostModel.of(policy_in_force(settings, schema).costs)
