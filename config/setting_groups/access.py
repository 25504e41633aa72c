"""Part of `config.settings.Settings`."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from config.loopback import is_loopback


class Access(BaseModel):
    """Who may ask."""

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

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _cannot_be_forged_on_the_way(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("must be an https:// URL; http:// only on this machine")
        return value
