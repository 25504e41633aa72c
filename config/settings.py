"""Every setting of every process: one typed class, read once from `TOLLGATE_*` environment variables.

Called at process start only (`load_settings`); everything else receives a `Settings` object. The settings stand by
theme in `config.setting_groups`; docs/settings.md is generated from their descriptions, and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.bundle_key import install_key_of
from config.errors import SettingInvalid
from config.setting_groups.access import Access
from config.setting_groups.budgets import RequestBudgets
from config.setting_groups.files import Files
from config.setting_groups.learning import Learning
from config.setting_groups.places import Places
from config.setting_groups.promotion import Promotion
from config.setting_groups.queue import Queue
from config.setting_groups.scoring import Scoring
from config.setting_groups.workers import Workers

OWN_POLICY = "policy.toml"
"""Name of the policy file in the data directory, where `tollgate thresholds --apply` writes when none is set."""
GROUPS = (Places, Access, RequestBudgets, Scoring, Queue, Files, Workers, Learning, Promotion)


class Settings(Places, Access, RequestBudgets, Scoring, Queue, Files, Workers, Learning, Promotion, BaseSettings):
    """Settings of one process. Units end the names: `_s` seconds, `_ms` milliseconds, `_bytes` bytes."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _local_places_follow(cls, given: dict[str, object]) -> dict[str, object]:
        """What was not given follows the data directory and the local ports."""
        data_dir = Path(str(given.get("data_dir") or ".tollgate"))
        followers: dict[str, object] = {
            "redis_url": f"redis://127.0.0.1:{given.get('redis_port') or 6390}/0",
            "mlflow_tracking_uri": f"http://127.0.0.1:{given.get('mlflow_port') or 5000}",
            "database_url": f"sqlite:///{data_dir / 'ledger.db'}",
            "model_dir": data_dir / "models",
            "blob_dir": data_dir / "blobs",
        }
        return followers | {name: value for name, value in given.items() if value is not None}


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; `overrides` win (the command line's flags).

    The key that bundles are signed with holds for this process from here on (`config.bundle_key`).

    Raises:
        SettingInvalid: a value cannot be used; the message names the variable and the reason.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        reasons = "; ".join(
            f"TOLLGATE_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            f" (got {problem['input']!r})"
            for problem in error.errors()
        )
        raise SettingInvalid(reasons) from error
    try:
        install_key_of(settings)
    except ValueError as error:
        raise SettingInvalid(f"TOLLGATE_BUNDLE_KEY: {error}") from error
    return settings
