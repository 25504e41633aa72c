"""Who may do what: for every route the scopes that open it, in one table.

`web.auth.guard` refuses to build an app with a route that is not here; docs/SECURITY.md shows the table, and a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from web.auth.principal import Principal, Scope


@dataclass(frozen=True, slots=True)
class Right:
    """What a request must hold: one of `scopes`, or with none of them any credential that is accepted.

    `is_public`: nothing at all.
    """

    scopes: tuple[Scope, ...] = ()
    is_public: bool = False

    def is_held_by(self, principal: Principal) -> bool:
        """Whether somebody who was recognised comes in."""
        return self.is_public or not self.scopes or any(principal.may(scope) for scope in self.scopes)

    @property
    def words(self) -> str:
        """As people are told."""
        return " or ".join(self.scopes)


PUBLIC: Final = Right(is_public=True)
RECOGNISED: Final = Right()
"""Of what no route serves: only those who may see something are told that there is nothing. And to sign out."""

_SCORE: Final = Right(("score",))
_READ: Final = Right(("read",))
_REVIEW: Final = Right(("review",))
_OPERATE: Final = Right(("operate",))
_ADMIN: Final = Right(("admin",))
_READ_OR_OPERATE: Final = Right(("read", "operate"))
_SCORE_OR_READ: Final = Right(("score", "read"))

RIGHTS: Final[Mapping[str, Right]] = {
    # Without credentials /health says only whether payments are scored; the pages show no data.
    "GET /": PUBLIC,
    "GET /docs": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "GET /problems/{code}": PUBLIC,
    "GET /static/{filename}": PUBLIC,
    "GET /console/login": PUBLIC,
    "POST /console/login": PUBLIC,
    "GET /console/login/issuer": PUBLIC,
    "GET /console/login/callback": PUBLIC,
    "GET /health": PUBLIC,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    # It looks at who asks by itself, since a browser without a session is sent to the login.
    "GET /session/check": PUBLIC,
    "POST /predict": _SCORE,
    "GET /predictions/{transaction_id}": _SCORE,
    "POST /batches": _SCORE,
    "GET /batches": _SCORE,
    "GET /batches/{batch_id}": _SCORE,
    "DELETE /batches/{batch_id}": _SCORE,
    "GET /batches/{batch_id}/results": _SCORE,
    "GET /batches/{batch_id}/errors": _SCORE,
    "POST /feedback": Right(("feedback",)),
    "GET /decisions": _READ,
    "GET /decisions/{decision_id}": _READ,
    "GET /quality": _READ,
    "GET /thresholds": _READ,
    "GET /drift": _READ,
    "GET /drift/{report_id}": _READ,
    "GET /drift/{report_id}.png": _READ,
    "GET /metrics": _READ,
    "GET /prometheus": Right(("metrics", "read", "operate")),
    "GET /reviews": _REVIEW,
    "GET /models": _READ_OR_OPERATE,
    "GET /models/jobs/{job_id}": _READ_OR_OPERATE,
    "GET /retrain": _READ_OR_OPERATE,
    "POST /retrain": _OPERATE,
    "POST /reload-model": _OPERATE,
    "POST /models/{model_version}/promote": _OPERATE,
    "POST /models/{model_version}/shadow": _OPERATE,
    "POST /models/{model_version}/canary": _OPERATE,
    "POST /models/rollback": _OPERATE,
    "DELETE /models/challenger": _OPERATE,
    "GET /dead-letters": _OPERATE,
    "GET /dead-letters/{entry_id}": _OPERATE,
    "DELETE /dead-letters/{entry_id}": _OPERATE,
    "POST /dead-letters/{entry_id}/replay": _OPERATE,
    "GET /keys": _ADMIN,
    "POST /keys": _ADMIN,
    "DELETE /keys/{key_id}": _ADMIN,
    "POST /keys/{key_id}/rotate": _ADMIN,
    "POST /console/logout": RECOGNISED,
    # What it opens is looked at when the page is asked for.
    "GET /console/pass": RECOGNISED,
    "GET /console": _READ,
    "GET /console/live": _READ,
    "GET /console/decisions": _READ,
    "GET /console/decisions/{decision_id}": _READ,
    "POST /console/decisions/{decision_id}/replay": _READ,
    "GET /console/replays/{replay_id}": _READ,
    "GET /console/quality": _READ,
    "GET /console/thresholds": _READ,
    "GET /console/drift": _READ,
    "GET /console/drift/{report_id}": _READ,
    "GET /console/models": _READ_OR_OPERATE,
    "GET /console/batches": _SCORE_OR_READ,
    "GET /console/batches/states": _SCORE_OR_READ,
    "GET /console/batches/{batch_id}": _SCORE_OR_READ,
    "GET /console/batches/{batch_id}/state": _SCORE_OR_READ,
    "GET /console/batches/{batch_id}/results.csv": _SCORE_OR_READ,
    "GET /console/batches/{batch_id}/results.ndjson": _SCORE_OR_READ,
    "GET /console/batches/{batch_id}/errors.ndjson": _SCORE_OR_READ,
    "POST /console/batches": _SCORE,
    "POST /console/batches/{batch_id}/cancel": _SCORE,
    "GET /console/reviews": _REVIEW,
    "GET /console/reviews/queue": _REVIEW,
    "GET /console/reviews/{decision_id}/case": _REVIEW,
    "POST /console/reviews/{decision_id}/claim": _REVIEW,
    "POST /console/reviews/{decision_id}/release": _REVIEW,
    "POST /console/reviews/{decision_id}/label": _REVIEW,
    "POST /console/models/{model_version}/promote": _OPERATE,
    "POST /console/models/{model_version}/shadow": _OPERATE,
    "POST /console/models/{model_version}/canary": _OPERATE,
    "POST /console/models/challenger/end": _OPERATE,
    "POST /console/models/rollback": _OPERATE,
    "POST /console/models/retrain": _OPERATE,
    "POST /console/models/reload": _OPERATE,
    "GET /console/operations": _OPERATE,
    "GET /console/operations/dead-letters/{entry_id}": _OPERATE,
    "POST /console/operations/dead-letters/{entry_id}/replay": _OPERATE,
    "POST /console/operations/dead-letters/{entry_id}/drop": _OPERATE,
}
"""`METHOD /route` as the OpenAPI document writes it. HEAD goes with GET."""

SCORE_A_PAYMENT: Final = RIGHTS["POST /predict"]
