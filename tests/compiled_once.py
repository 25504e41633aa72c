"""What every app of a test process compiles alike, compiled once: the builders of its URLs, and its templates.

An app takes 35 ms to build, two thirds of them in werkzeug, which writes and compiles two functions for each of 90
rules; a page takes 70 ms to be compiled by every app that shows it. The unit tests build 250 apps. A server builds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule

Builder = Callable[..., tuple[str, str]]

_BUILDERS: Final[dict[tuple[Any, ...], Builder]] = {}


class _CompiledOnce(Rule):
    """A rule whose builders are those of the first rule that was alike; they get the rule that they build for."""

    def _compile_builder(self, append_unknown: bool = True) -> Builder:
        alike = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if alike not in _BUILDERS:
            _BUILDERS[alike] = super()._compile_builder(append_unknown)
        return _BUILDERS[alike]


class _InMemory(BytecodeCache):
    """Byte code of templates by name and path; a template that has changed is compiled again."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_TEMPLATES: Final = _InMemory()


@contextmanager
def compiled_once() -> Iterator[None]:
    """Apps that are made inside share the builders of their URLs and the byte code of their templates."""
    options = {**Flask.jinja_options, "bytecode_cache": _TEMPLATES}
    with patch.multiple(Flask, url_rule_class=_CompiledOnce, jinja_options=options):
        yield
