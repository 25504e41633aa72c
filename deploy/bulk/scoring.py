"""A file through POST /batches: up, followed, and its results down again. Every step can be repeated without harm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from config.errors import TollgateError
from config.queue.batches import ENDED
from deploy.bulk.patience import Patience
from deploy.bulk.server import Answered, BulkServer
from deploy.bulk.source import Source

SHORT_PAUSE_S: Final = 0.2
LONG_PAUSE_S: Final = 1.0
KEYS_TRIED: Final = 50


class BatchRefused(TollgateError):
    """The server did not take the file, or could not finish it; the message has its reason."""

    code = "batch_refused"
    status = 422
    title = "The batch was refused"


class View(Protocol):
    """What is shown meanwhile. Each step starts from nothing again when it has to."""

    def uploading(self, done: int, total: int) -> None:
        """Bytes that went up."""

    def scoring(self, batch: dict[str, Any]) -> None:
        """The batch as the server just described it."""

    def downloading(self, done: int) -> None:
        """Bytes that came down."""


@dataclass(frozen=True, slots=True)
class ScoringRun:
    """One file, one server."""

    server: BulkServer
    source: Source
    patience: Patience
    view: View

    def submit(self) -> dict[str, Any]:
        """The batch of this file: a new one, or the one of an earlier run that can still be read.

        Raises: BatchRefused, Unreachable.
        """
        for number in range(1, KEYS_TRIED + 1):
            key = self.source.key if number == 1 else f"{self.source.key}-{number}"
            answer = self.patience.ask(lambda key=key: self._upload(key))  # type: ignore[misc]
            if answer.status != 202:
                raise BatchRefused(answer.why)
            batch: dict[str, Any] = answer.body
            if "idempotency-replayed" not in answer.headers:
                return batch
            known = self.patience.ask(lambda batch=batch: self.server.get(f"/batches/{batch['id']}"))  # type: ignore[misc]
            if known.status == 200 and known.body["status"] not in ("expired", "cancelling", "cancelled", "failed"):
                return known.body
        raise BatchRefused(f"{KEYS_TRIED} batches of this file have failed or were cancelled within a day")

    def follow(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch when it has ended. Raises BatchRefused (it is gone), Unreachable."""
        while batch["status"] not in ENDED:
            self.view.scoring(batch)
            # Short at first: a small file is done in a moment.
            self.patience.sleep(LONG_PAUSE_S if batch["progress"] > 0.02 else SHORT_PAUSE_S)
            batch = self._batch(batch["id"]).body
        self.view.scoring(batch)
        return batch

    def fetch(self, path: str, to: Path) -> None:
        """What is at `path`, whole, in the file `to`. Raises BatchRefused, Unreachable."""
        answer = self.patience.ask(lambda: self._download(path, to))
        if answer.status != 200:
            raise BatchRefused(answer.why)

    def _upload(self, key: str) -> Answered:
        sent = 0

        def count(n_bytes: int) -> None:
            nonlocal sent
            sent += n_bytes
            self.view.uploading(sent, self.source.size)

        with self.source.path.open("rb") as file:
            headers = {**self.source.headers, "Idempotency-Key": key}
            return self.server.upload("/batches", file, self.source.size, headers, count)

    def _batch(self, batch_id: str) -> Answered:
        answer = self.patience.ask(lambda: self.server.get(f"/batches/{batch_id}"))
        if answer.status != 200:
            raise BatchRefused(answer.why)
        return answer

    def _download(self, path: str, to: Path) -> Answered:
        taken = 0

        def count(n_bytes: int) -> None:
            nonlocal taken
            taken += n_bytes
            self.view.downloading(taken)

        with to.open("wb") as file:
            return self.server.download(path, file, count)
