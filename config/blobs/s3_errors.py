"""What boto3 raises, in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from config.errors import BlobsUnavailable

_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_BEYOND: Final = frozenset({"InvalidRange", "416"})


class BeyondTheEnd(Exception):
    """A range was asked for that begins where the object ends."""


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Raises FileNotFoundError (no such object), BeyondTheEnd or BlobsUnavailable for what boto3 raises inside."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise FileNotFoundError(name) from error
        if code in _BEYOND:
            raise BeyondTheEnd from error
        raise BlobsUnavailable(f"the blob store refused {error.operation_name}: {code or 'no reason given'}") from error
    except BotoCoreError as error:
        raise BlobsUnavailable(f"the blob store does not answer: {type(error).__name__}") from error
