"""Every setting of every process: one typed class, read once from `TOLLGATE_*` environment variables.

Called at process start only (`load_settings`); everything else receives a `Settings` object. docs/settings.md
is generated from the descriptions below, and a test compares the two.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.bundle_key import install_key_of
from config.card_numbers import CardPolicy
from config.contracts import LabelPolicy, LateFallback
from config.errors import SettingInvalid
from config.loopback import is_loopback
from config.rates import require_rate

DEFAULT_SCHEMA = Path(__file__).parent / "schemas" / "payment.toml"
DEFAULT_POLICY = Path(__file__).parent / "policies" / "default.toml"
OWN_POLICY = "policy.toml"
"""Name of the policy file in the data directory, where `tollgate thresholds --apply` writes when none is set."""


class Settings(BaseSettings):
    """Settings of one process. Units end the names: `_s` seconds, `_ms` milliseconds, `_bytes` bytes."""

    model_config = SettingsConfigDict(env_prefix="TOLLGATE_", frozen=True, extra="ignore")

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

    auth: Literal["off", "required"] = Field(
        "off",
        description="Whether requests need an API key or token. `off`: for a stack that only its own machine reaches.",
    )
    public_domain: str = Field(
        "",
        description="Domain of the pages that the proxy guards by GET /session/check: grafana.DOMAIN, mlflow.DOMAIN and"
        " so on; a browser gets its cookie for them at tollgate.DOMAIN. Empty: nobody is let on to any of them.",
    )
    auth_refresh_s: float = Field(
        2.0, gt=0, le=60, description="How often a web process reads the table of API keys: a revoked one ends by then."
    )
    admin_key: str = Field(
        "",
        repr=False,
        description="A key with the scope `admin` from the environment, 32 characters or more: how the first key comes"
        " to a new installation.",
    )
    admin_key_file: str = Field("", description="File that holds the admin key instead, for secrets that are mounted.")
    metrics_key: str = Field(
        "", repr=False, description="A key with the scope `metrics` alone, for Prometheus, 32 characters or more."
    )
    metrics_key_file: str = Field("", description="File that holds the metrics key instead.")
    session_idle_s: int = Field(
        3600, ge=60, le=86_400, description="A session of the console ends when nothing was asked in it for that long."
    )
    session_lifetime_s: int = Field(
        43_200, ge=60, le=604_800, description="A session of the console ends that long after it began, in any case."
    )
    api_key: str = Field(
        "", repr=False, description="What the `tollgate` commands show to a server: an API key (`--api-key`)."
    )
    oidc_issuer: str = Field(
        "", description="Issuer whose bearer tokens (JWT) are accepted, as in their `iss`; empty: API keys alone."
    )
    oidc_audience: str = Field("", description="What a token's `aud` must contain; needed with an issuer.")
    oidc_jwks_url: str = Field(
        "", description="Where the issuer's public keys are; empty: its discovery document says."
    )
    oidc_scope_claim: str = Field(
        "scope", description="Claim with a token's scopes: a list, or text with spaces in between; else `scp`."
    )
    oidc_scope_prefix: str = Field(
        "tollgate:", description="What our scopes begin with there (`tollgate:score`); empty: nothing."
    )
    oidc_tenant_claim: str = Field("", description="Claim that names a token's tenant; empty: all are of `default`.")
    oidc_leeway_s: int = Field(30, ge=0, le=300, description="How far the issuer's clock may be off.")
    oidc_client_id: str = Field(
        "", description="Our client id at the issuer: people may sign in to the console there; empty: with keys alone."
    )
    oidc_client_secret: str = Field(
        "", repr=False, description="The client's secret, where the issuer gave one; PKCE is used with and without."
    )
    oidc_client_secret_file: str = Field("", description="File that holds the client's secret instead.")
    oidc_login_scopes: str = Field(
        "openid", description="What a sign-in asks the issuer for, so that the id token has the claim with our scopes."
    )
    oidc_redirect_url: str = Field(
        "", description="Our `/console/login/callback` as the issuer knows it; empty: on the host that was asked."
    )
    oidc_refresh_s: float = Field(
        30.0, gt=0, description="How often the issuer's keys are asked for at most, when a token names an unknown one."
    )

    limits: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether requests are limited by the budgets below; `auto`: where `TOLLGATE_AUTH` asks for keys.",
    )
    limit_score: str = Field(
        "1000/second",
        description="Budget of one key for POST /predict and GET /predictions/{id}, such as `100/second` or"
        " `20 per 5 minutes`; empty: none. Requests without a key count by address.",
    )
    limit_bulk: str = Field("60/minute", description="Budget of one key for uploads of batches.")
    limit_feedback: str = Field("200/second", description="Budget of one key for POST /feedback; a file counts once.")
    limit_operations: str = Field("1200/minute", description="Budget of one key for everything else, pages included.")
    limit_address: str = Field("2000/second", description="Budget of one address for everything, whatever the key.")
    limit_failed_credentials: str = Field(
        "30/minute", description="Budget of one address for wrong or missing credentials; then 429 instead of 401."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies in front whose X-Forwarded-For, -Proto and -Host are believed; 0: nobody's.",
    )
    body_timeout_s: float = Field(
        60.0,
        gt=0,
        description="How long 64 kB of a body (or all of a smaller one) may take before its connection is ended with"
        " 408; at least as long as `TOLLGATE_MAX_WAIT_S` and 1 s.",
    )

    web_processes: int = Field(
        1, ge=1, le=64, description="Web server processes; one per two cores gathers the largest batches (ADR 0013)."
    )
    web_threads: int = Field(
        256,
        ge=4,
        le=4096,
        description="Threads per web process; those beyond `TOLLGATE_QUEUE_CAPACITY` refuse and look.",
    )
    scoring_workers: int = Field(2, ge=1, le=256, description="Scoring worker processes (solo pool, one per core).")
    bulk_workers: int = Field(
        1, ge=0, le=256, description="Bulk worker processes; they run only when nothing interactive wants the core."
    )

    sync_timeout_ms: int = Field(
        1500,
        ge=1,
        le=60_000,
        description="How long POST /predict waits before it answers 202 (Prefer: wait=N overrides).",
    )
    max_wait_s: int = Field(30, ge=1, le=300, description="Longest `Prefer: wait=N` honoured.")
    late_fallback: LateFallback = Field(
        "poll",
        description="What a late score becomes: `poll` (202), `refuse` (503), `rules` (policy file alone, degraded)."
        " The policy file's `[degradation]` wins.",
    )
    queue_capacity: int = Field(
        192,
        ge=1,
        description="Transactions that wait in one web process, sent or not, before it answers 503;"
        " below `TOLLGATE_WEB_THREADS`, so that threads are left to say so.",
    )
    batches_in_flight: int = Field(1, ge=1, le=64, description="Batches one web process keeps in flight (k).")
    batch_max_rows: int = Field(128, ge=1, le=4096, description="Largest batch the coalescer sends.")
    latency_objective_ms: int = Field(
        100,
        ge=1,
        description="Latency objective that adapts the batch size cap (additive increase, multiplicative decrease).",
    )
    max_body_bytes: int = Field(65_536, ge=256, description="Largest body of a single transaction.")
    card_numbers: CardPolicy = Field(
        "refuse",
        description="Card numbers in texts and ids: `refuse` (422), `mask` (first six and last four digits stay)"
        " or `allow`.",
    )
    explain_above: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Fraud probability from which a decision carries its reasons unasked;"
        " what is reviewed or declined carries them anyway.",
    )
    reasons_max: int = Field(5, ge=1, le=50, description="Most reasons a decision carries.")

    broker_timeout_s: float = Field(0.5, gt=0, le=10, description="Web: socket timeout towards the broker.")
    breaker_reset_s: float = Field(
        0.5, gt=0, description="Web: how long the circuit stays open after a broker failure."
    )
    visibility_timeout_s: int = Field(
        45, ge=5, description="Scoring queue: when an unacknowledged message is redelivered."
    )
    result_ttl_s: int = Field(3600, ge=60, description="How long a decision stays in Redis after it was made.")
    seen_ttl_s: int = Field(
        86_400, ge=60, description="How long the history position of an undecided transaction is kept."
    )
    history_events: int = Field(128, ge=8, le=4096, description="Events per entity that history features look back on.")
    history_retain_s: int = Field(
        600, ge=60, description="How long events past `history_events` stay for redelivered transactions."
    )
    journal_max_entries: int = Field(2_000_000, ge=1000, description="Journal length at which new work is refused.")
    journal_batch: int = Field(500, ge=1, le=10_000, description="Journal entries committed to the ledger at a time.")
    inbox_overdue_s: int = Field(30, ge=1, description="Age at which the reaper enqueues accepted work again.")
    inbox_attempts: int = Field(3, ge=1, description="Attempts before accepted work moves to the dead letters.")
    inbox_max_entries: int = Field(
        200_000, ge=100, description="Accepted work without a result at which nothing more is accepted."
    )
    bulk_chunk_rows: int = Field(500, ge=1, le=10_000, description="Rows of a batch that are scored together.")
    bulk_chunks_ahead: int = Field(4, ge=1, le=256, description="Chunks of one batch that are out at a time.")
    bulk_journal_chunks: int = Field(
        64, ge=1, description="Chunks that may wait for the ledger before bulk workers pause."
    )
    bulk_max_bytes: int = Field(1_073_741_824, ge=1, description="Largest upload of a batch, as sent.")
    bulk_max_unpacked_bytes: int = Field(
        4_294_967_296, ge=1, description="Largest batch after unpacking gzip; a bomb ends there."
    )
    bulk_max_rows: int = Field(5_000_000, ge=1, description="Most rows of one batch.")
    bulk_batches_per_client: int = Field(8, ge=1, description="Unfinished batches that one client may have.")
    bulk_results_ttl_s: int = Field(86_400, ge=60, description="How long a finished batch's results can be read.")
    idempotency_ttl_s: int = Field(
        86_400, ge=86_400, description="How long an Idempotency-Key is remembered: at least a day."
    )
    dedupe_ttl_s: int = Field(
        86_400, ge=60, description="How long a client's transaction_id is remembered, so that the first decision stays."
    )
    dead_letter_ttl_s: int = Field(2_592_000, ge=60, description="How long a dead letter is kept.")
    ledger_retention_s: int = Field(
        63_072_000, ge=0, description="How long decisions and labels stay in the ledger; 0: for ever."
    )
    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port on which a worker serves its own metrics; 0: only through the web side."
    )
    metrics_cache_s: float = Field(
        1.0,
        ge=0,
        description="How long `GET /prometheus` remembers what it read from broker and ledger; 0: not at all.",
    )
    heartbeat_s: float = Field(1.0, gt=0, description="How often a worker reports; it is gone after five times that.")
    champion_poll_s: float = Field(
        0.5, gt=0, le=1, description="How often a worker compares its model with the champion pointer."
    )
    reload_timeout_s: float = Field(
        10.0, gt=0, description="How long POST /reload-model waits for the workers' answers."
    )
    canary_interval_s: float = Field(5.0, gt=0, description="How often the canary transaction is scored.")
    watchdog_s: float = Field(8.0, gt=1, description="A scoring worker that stays in one batch this long is replaced.")

    appendfsync: Literal["always", "everysec", "no"] = Field(
        "always", description="Embedded Valkey: when the append-only file reaches the disk."
    )
    redis_maxmemory_bytes: int = Field(0, ge=0, description="Embedded Valkey: memory limit, 0 for none (never evicts).")
    label_delay_s: int = Field(
        604_800,
        ge=0,
        description="How long after a transaction its label is expected, until enough labels say so themselves.",
    )
    label_delay_fixed: bool = Field(
        False,
        description="Take `TOLLGATE_LABEL_DELAY_S` as it stands, do not learn the label delay: where labels are dated"
        " by when they were loaded.",
    )
    label_policy: LabelPolicy = Field(
        "chargebacks",
        description="What a matured decision without a label is, in training and live quality: `chargebacks`: genuine,"
        " since only frauds are reported; `explicit`: unknown, and left out.",
    )
    feedback_max_bytes: int = Field(67_108_864, ge=1, description="Largest file of labels (NDJSON or CSV), as sent.")
    quality_roll_up_s: int = Field(
        120, ge=10, description="How often live quality is rolled up for the days that changed."
    )
    quality_top_k: int = Field(
        100,
        ge=1,
        description="Alerts that can be looked at in a day: the k of live precision at k and card precision at k.",
    )
    quality_segment_field: str = Field(
        "", description="Field of the schema that live quality is split by; empty: the first category."
    )
    drift_interval_s: int = Field(3600, ge=0, description="How often drift is checked for; 0: never.")
    drift_window_s: int = Field(
        86_400, ge=60, description="Drift checks compare the decisions of this long with the training data: whole days."
    )
    retrain_interval_s: int = Field(
        86_400, ge=0, description="How often a challenger is trained on the ledger; 0: only on demand."
    )
    training_limit_s: int = Field(3600, ge=60, description="Longest training from the ledger; then it is ended.")
    incremental_interval_s: int = Field(
        3600, ge=0, description="How often the incremental model learns from new labels; 0: never."
    )
    incremental_publish_steps: int = Field(
        24, ge=1, description="Steps of the incremental model between two bundles that the gate may judge."
    )
    gate_min_frauds: int = Field(200, ge=1, description="Matured frauds below which the gate promotes nothing.")
    gate_champion_max_age_s: int = Field(
        0, ge=0, description="Age from which a champion gives way to a challenger that is not inferior; 0: never."
    )
    otlp_endpoint: str = Field(
        "", description="OpenTelemetry collector (OTLP over HTTP) that spans are sent to; empty: no tracing."
    )
    otlp_sample_ratio: float = Field(
        0.01, ge=0, le=1, description="Share of payments traced unasked; a sampled `traceparent` is always followed."
    )
    shadow_max_age_s: int = Field(
        2_419_200,
        ge=0,
        description="Age from which a shadow challenger that was not judged yet makes room for a newer.",
    )
    canary_share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of traffic that a model which the gate promotes decides first, as a canary; 0: all of it.",
    )
    canary_minutes: float = Field(30.0, gt=0, description="How long such a canary runs before it is promoted.")
    guard_interval_s: int = Field(10, ge=1, description="How often a canary or new champion is checked.")
    guard_minutes: float = Field(
        60.0, ge=0, description="How long a champion that the gate promoted is compared with its predecessor; 0: never."
    )
    guard_window_minutes: int = Field(10, ge=1, le=60, description="The guard looks at the decisions of this long.")
    guard_min_rows: int = Field(500, ge=20, description="Transactions below which the guard judges nothing.")
    guard_max_error_rate: float = Field(
        0.01, ge=0, le=1, description="Guard: largest share of transactions that the newer model fails to score."
    )
    guard_max_latency_ratio: float = Field(
        3.0, ge=1, description="Guard: how many times as long as the older model the newer one may take to score."
    )
    guard_max_alert_ratio: float = Field(
        2.0, gt=1, description="Guard: how many times as many (or few) alerts the newer model may raise."
    )
    guard_max_psi: float = Field(
        1.0, gt=0, description="Guard: largest stability index between both models' scores of the same transactions."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level logged.")
    log_format: Literal["console", "json"] = Field("console", description="Log lines for people or for machines.")

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

    @field_validator("ledger_retention_s")
    @classmethod
    def _outlives_the_ids(cls, value: int, info: ValidationInfo) -> int:
        """While an id is remembered, its decision is read from the ledger."""
        dedupe_ttl_s = info.data.get("dedupe_ttl_s", 0)
        if 0 < value < dedupe_ttl_s:
            raise ValueError(f"must be 0 or at least TOLLGATE_DEDUPE_TTL_S ({dedupe_ttl_s})")
        return value

    @field_validator(
        "limit_score",
        "limit_bulk",
        "limit_feedback",
        "limit_operations",
        "limit_address",
        "limit_failed_credentials",
    )
    @classmethod
    def _is_rate(cls, value: str) -> str:
        return require_rate(value)

    @field_validator("blob_url")
    @classmethod
    def _is_bucket_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[\w./-]*)?", value):
            raise ValueError("must be s3://bucket or s3://bucket/prefix")
        return value

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _cannot_be_forged_on_the_way(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("must be an https:// URL; http:// only on this machine")
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
