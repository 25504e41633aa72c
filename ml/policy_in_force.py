"""Which policy file holds: the one that is set, else the data directory's once there is one, else the built-in one."""

from __future__ import annotations

from pathlib import Path

from config.schema.model import Schema
from config.setting_groups.places import DEFAULT_POLICY
from config.settings import OWN_POLICY, Settings
from ml.policy import Policy, load_policy


def own_policy(settings: Settings) -> Path:
    """The policy file that is the operator's to write; it may not be there yet."""
    is_built_in = settings.policy_file.resolve() == DEFAULT_POLICY.resolve()
    return settings.data_dir / OWN_POLICY if is_built_in else settings.policy_file


def policy_path(settings: Settings) -> Path:
    """The policy file to read now."""
    own = own_policy(settings)
    return own if own.exists() else settings.policy_file


def policy_in_force(settings: Settings, schema: Schema) -> Policy:
    """What that file says now. Raises SettingInvalid."""
    return load_policy(policy_path(settings), schema)
