"""The option `--tenant`, for commands that look something up by what a client calls it."""

from __future__ import annotations

import click

from config.tenants import DEFAULT_TENANT, is_tenant_name


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not is_tenant_name(value):
        raise click.BadParameter(f"{value!r} cannot be a tenant: lower-case letters, digits and hyphens, at most 32")
    return value


tenant_option = click.option(
    "--tenant", default=DEFAULT_TENANT, show_default=True, callback=_named, help="Whose the identifier is."
)
