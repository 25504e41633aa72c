"""Reading schema files. Called at process start, by training and by `tollgate schema check`."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from config.errors import FieldError, SchemaInvalid
from config.schema.lines import locate
from config.schema.model import Schema
from config.schema.problems import Problems
from config.schema.read import read_document
from config.schema.rules import check_rules

_LATER = frozenset({"since"})
"""Keys that came after the first release: where they are not used the digest stays what it was."""
_NOT_CONTENT = frozenset({"line", "description", "example", "by_name", "digest"})


def load_schema(path: str | Path) -> Schema:
    """The schema that a file declares.

    Raises:
        SchemaInvalid: the file cannot be read or has mistakes; `errors` names every one with its line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SchemaInvalid(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SchemaInvalid(f"{path}: not UTF-8 text (byte {error.start})") from error
    return parse_schema(text, str(path))


def parse_schema(text: str, source: str = "schema") -> Schema:
    """The schema that a TOML text declares; `source` is what messages call it.

    Raises:
        SchemaInvalid: as `load_schema`.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SchemaInvalid(f"{source}: not TOML: {error}", errors=(_syntax_error(text, error),)) from error
    problems = Problems(locate(text))
    draft = read_document(document, problems)
    check_rules(draft, problems)
    if errors := problems.errors():
        count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        raise SchemaInvalid(f"{source}: {count}", errors=errors)
    return replace(draft.schema, digest=schema_digest(draft.schema))


def schema_digest(schema: Schema) -> str:
    """SHA-256 (hex) of what the schema means.

    The order of fields and features counts (it is the order of values and columns). Comments, descriptions,
    examples and the order of keys in a table do not.
    """
    content = json.dumps(asdict(schema, dict_factory=_meaning), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _meaning(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if key not in _NOT_CONTENT and not (value is None and key in _LATER)}


def _syntax_error(text: str, error: Exception) -> FieldError:
    """A TOML mistake with its line; `tomllib` says "(at line 3, column 5)" or "(at end of document)"."""
    message = str(error)
    _, found, rest = message.partition("(at line ")
    line = rest.split(",")[0] if found else str(text.count("\n") + 1)
    return FieldError("", "toml_syntax", f"line {line}: {message}")
