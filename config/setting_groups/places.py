"""Part of `config.settings.Settings`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

DEFAULT_SCHEMA = Path(__file__).parents[1] / "schemas" / "payment.toml"
DEFAULT_POLICY = Path(__file__).parents[1] / "policies" / "default.toml"


class Places(BaseModel):
    """Where things are."""

    data_dir: Path = Field(Path(".tollgate"), description="Where the local stack keeps its data.")
    host: str = Field(
        "127.0.0.1",
        description="Address the web server binds; where other machines reach it, `TOLLGATE_AUTH` must be `required`.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port of the web server.")
    redis_port: int = Field(6390, ge=1, le=65535, description="Port of the embedded Valkey server.")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="Port of the local MLflow server.")
    exporter_port: int = Field(9808, ge=1, le=65535, description="Port of the local celery-exporter.")
    exporter_enabled: bool = Field(True, description="Run the celery-exporter beside the local stack.")
    exporter_venv: Path = Field(
        Path(".venv-exporter"),
        description="Virtual environment of the local celery-exporter, made when it is missing.",
    )
    redis_url: str = Field(
        "redis://127.0.0.1:6390/0",
        description="Broker and state: a Redis or Valkey URL. `rediss://` is TLS: `?ssl_ca_certs=FILE` names the"
        " authority that is trusted, and the server's certificate is verified unless `ssl_cert_reqs` says otherwise.",
    )
    appendfsync: Literal["always", "everysec", "no"] = Field(
        "always", description="Embedded Valkey: when the append-only file reaches the disk."
    )
    redis_maxmemory_bytes: int = Field(0, ge=0, description="Embedded Valkey: memory limit, 0 for none (never evicts).")
    database_url: str = Field(
        "sqlite:///.tollgate/ledger.db",
        description="The ledger: an SQLAlchemy URL (sqlite or postgresql+psycopg). TLS to PostgreSQL:"
        " `?sslmode=verify-full&sslrootcert=FILE`.",
    )
    mlflow_tracking_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking and registry server.")
    mlflow_enabled: bool = Field(True, description="Log training runs to MLflow and register models there.")
    model_dir: Path = Field(
        Path(".tollgate/models"), description="Bundle store: a directory that trainers and workers share."
    )
    bundle_key: str = Field(
        "",
        repr=False,
        description="Key that bundles are signed with, 32 characters or more; with it, unsigned ones are refused."
        " Empty: digests alone.",
    )
    bundle_key_file: str = Field("", description="File that holds the key instead, for secrets that are mounted.")
    blob_dir: Path = Field(
        Path(".tollgate/blobs"), description="Uploads and results of batches: a directory that web and workers share."
    )
    blob_url: str | None = Field(
        None,
        description="Uploads and results in a bucket instead: `s3://bucket/prefix` (the extra `aws`; credentials and"
        " region as AWS's own tools find them). No directory is shared then.",
    )
    blob_endpoint_url: str | None = Field(
        None, description="Where that bucket is, if not at AWS: the URL of a store that speaks S3's protocol."
    )
    schema_file: Path = Field(DEFAULT_SCHEMA, description="The schema file that declares transactions.")
    policy_file: Path = Field(
        DEFAULT_POLICY,
        description="The policy file: thresholds, costs, allow and block lists."
        " Without it `policy.toml` in the data directory holds, once there is one.",
    )

    @field_validator("blob_url")
    @classmethod
    def _is_bucket_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[\w./-]*)?", value):
            raise ValueError("must be s3://bucket or s3://bucket/prefix")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return _verified(value)


def _verified(redis_url: str) -> str:
    """The URL, saying for TLS that the certificate is verified: redis-py does so anyway, kombu 5.7 only when told."""
    if not redis_url.startswith("rediss://") or "ssl_cert_reqs=" in redis_url:
        return redis_url
    return f"{redis_url}{'&' if '?' in redis_url else '?'}ssl_cert_reqs=required"
