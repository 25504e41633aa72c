"""The bundles that decisions name, loaded when they are first asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from config.errors import BundleRefused
from ml.bundle import Bundle, load_bundle
from ml.features.spec import FeatureSpec
from ml.registry import find_bundles


class BundleShelf:
    """The bundle store, read only. Holds the four bundles used last and one feature spec per schema."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self._specs: dict[str, FeatureSpec | None] = {}
        self._load = lru_cache(maxsize=4)(self._read)

    def bundle(self, model_version: str, digest: str) -> Bundle:
        """The very bundle that made a decision. Raises BundleRefused: it is gone, or was changed."""
        return self._load(model_version, digest)

    def spec(self, schema_digest: str) -> FeatureSpec | None:
        """What transactions of a schema left in the history; None when no bundle of that schema is there."""
        if schema_digest not in self._specs:
            self._specs[schema_digest] = self._find_spec(schema_digest)
        return self._specs[schema_digest]

    def _read(self, model_version: str, digest: str) -> Bundle:
        directory = self._model_dir / model_version
        if not directory.is_dir():
            raise BundleRefused(f"its bundle {model_version} is not in {self._model_dir} any more")
        return load_bundle(directory, digest=digest)

    def _find_spec(self, schema_digest: str) -> FeatureSpec | None:
        for stored in find_bundles(self._model_dir, schema_digest):
            try:
                return self.bundle(stored.model_version, stored.digest).spec
            except BundleRefused:
                continue
        return None
