"""Which blob store the settings name."""

from __future__ import annotations

from functools import lru_cache

from config.blobs.directory import DirectoryBlobs
from config.blobs.store import BlobStore
from config.errors import SettingInvalid
from config.settings import Settings


def blobs_of(settings: Settings) -> BlobStore:
    """The store that the settings name; a bucket's client is made once in a process. Raises SettingInvalid."""
    if settings.blob_url is None:
        return DirectoryBlobs(settings.blob_dir)
    return _bucket(settings.blob_url, settings.blob_endpoint_url)


@lru_cache(maxsize=4)
def _bucket(url: str, endpoint_url: str | None) -> BlobStore:
    # Here and not above: boto3 is an extra and slow to import, and a directory needs none of it.
    try:
        from config.blobs.s3 import connect
    except ImportError as error:
        raise SettingInvalid(
            f"TOLLGATE_BLOB_URL needs the extra `aws` (pip install 'tollgate[aws]'): {error}"
        ) from error
    return connect(url, endpoint_url)
