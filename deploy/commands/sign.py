"""`tollgate sign`: a bundle that was published before TOLLGATE_BUNDLE_KEY was set gets its signature."""

from __future__ import annotations

import click

from config.settings import load_settings


@click.command()
@click.argument("model_version")
@click.option("--digest", required=True, help="Its digest, from where it cannot have been changed: the audit trail.")
def command(model_version: str, digest: str) -> None:
    """Sign MODEL_VERSION with TOLLGATE_BUNDLE_KEY, once its files and its digest have been compared."""
    settings = load_settings()
    # Imported here: `tollgate sign --help` needs no model.
    from ml.bundle_files import sign_published

    sign_published(settings.model_dir / model_version, digest)
    click.echo(f"signed {model_version} ({digest})")
