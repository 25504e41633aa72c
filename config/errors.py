"""The error tree that every process shares.

Each class carries a stable `code` (what clients match on), the HTTP status it becomes at the door, and a
title. `web.problems` turns them into RFC 9457 problem+json; the command line prints `str(error)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a request or of a file.

    `pointer` is a JSON pointer ("/amount"), `code` is stable ("out_of_bounds"), `message` is for people.
    """

    pointer: str
    code: str
    message: str


class TollgateError(Exception):
    """Something Tollgate can name went wrong."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors
        self.retry_after_s = retry_after_s


class InvalidTransaction(TollgateError):
    """The body is JSON, but not a transaction that the schema allows."""

    code = "invalid_transaction"
    status = 422
    title = "The transaction does not fit the schema"


class CardNumberRefused(InvalidTransaction):
    """A text, an id or an unknown field holds a card number; nothing was kept, and no value is repeated."""

    code = "card_number"
    status = 422
    title = "Card numbers are not taken"


class InvalidRequest(TollgateError):
    """A query parameter or header has a value that is not allowed."""

    code = "invalid_request"
    status = 422
    title = "The request is not valid"


class MalformedBody(TollgateError):
    """The body cannot be read at all: not JSON, not UTF-8, empty, nested too deep."""

    code = "malformed_body"
    status = 422
    title = "The body cannot be read"


class MalformedBatch(TollgateError):
    """The rows of a batch cannot be told apart: bad gzip, no JSON array, CSV with an open quote."""

    code = "malformed_batch"
    status = 422
    title = "The batch cannot be read"


class TooManyRows(MalformedBatch):
    """A batch has more rows than one batch may have."""

    code = "too_many_rows"
    status = 413
    title = "Too many rows"


class UnsupportedMediaType(TollgateError):
    """The Content-Type is not one this endpoint reads."""

    code = "unsupported_media_type"
    status = 415
    title = "Unsupported content type"


class BodyTooLarge(TollgateError):
    """The body is larger than the limit."""

    code = "body_too_large"
    status = 413
    title = "The body is too large"


class UnknownId(TollgateError):
    """No decision, batch or model has this id."""

    code = "unknown_id"
    status = 404
    title = "Not found"


class LengthRequired(TollgateError):
    """A batch or a file of labels that is sent with an Idempotency-Key must say its Content-Length.

    A chunked body that breaks off looks like a complete one, and half of it must not take the key. Without a key it is
    read all the same.
    """

    code = "length_required"
    status = 411
    title = "Content-Length is required with an Idempotency-Key"


class NotAcceptable(TollgateError):
    """None of the types in Accept is one that this route can write."""

    code = "not_acceptable"
    status = 406
    title = "Not acceptable"


class TooManyBatches(TollgateError):
    """This client has as many unfinished batches as it may; nothing was accepted."""

    code = "too_many_batches"
    status = 429
    title = "Too many unfinished batches"


class RateLimited(TollgateError):
    """A budget of this client, or of this address, is used up; nothing was accepted."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class BodyTooSlow(TollgateError):
    """The body, or 64 kB of it, took longer than `TOLLGATE_BODY_TIMEOUT_S`; nothing was accepted."""

    code = "body_too_slow"
    status = 408
    title = "The body came too slowly"


class StorageFull(TollgateError):
    """The disk that uploads are kept on is full; nothing was accepted and nothing is left of the upload."""

    code = "storage_full"
    status = 507
    title = "Storage is full"


class BlobsUnavailable(TollgateError):
    """The store of uploads and results does not answer, or refuses; nothing was accepted."""

    code = "storage_unavailable"
    status = 503
    title = "Storage is unavailable"


class BatchEnded(TollgateError):
    """The batch has ended, or all of its rows are scored: there is nothing left to cancel."""

    code = "batch_ended"
    status = 409
    title = "The batch has ended"


class BatchNotFinished(TollgateError):
    """Results can be read when the batch has ended; Retry-After says when to look again."""

    code = "batch_not_finished"
    status = 409
    title = "The batch is not finished"


class BatchExpired(TollgateError):
    """The batch's results and errors were kept for their time and are gone."""

    code = "batch_expired"
    status = 410
    title = "The batch has expired"


class RequestInProgress(TollgateError):
    """A request with the same Idempotency-Key is being answered; ask again for its answer."""

    code = "request_in_progress"
    status = 409
    title = "The same request is in progress"


class IdempotencyKeyReused(TollgateError):
    """The Idempotency-Key was used for another request; nothing was accepted."""

    code = "idempotency_key_reused"
    status = 422
    title = "Same Idempotency-Key, other request"


class TransactionConflict(TollgateError):
    """The same transaction_id was sent before with other content."""

    code = "transaction_conflict"
    status = 409
    title = "Same transaction_id, other content"


class LabelConflict(TollgateError):
    """The same label_id was sent before with another verdict, or about another transaction."""

    code = "label_conflict"
    status = 409
    title = "Same label_id, another label"


class Overloaded(TollgateError):
    """The queue in this web process is full; nothing was accepted."""

    code = "overloaded"
    status = 503
    title = "Overloaded"


class BrokerUnavailable(TollgateError):
    """The broker cannot be reached; nothing was accepted."""

    code = "broker_unavailable"
    status = 503
    title = "Broker unavailable"


class Unauthenticated(TollgateError):
    """The request shows no API key or token, or one that is not known here, has expired or was revoked.

    `is_shown`: something was shown, and is not accepted.
    """

    code = "unauthenticated"
    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str = "", *, is_shown: bool = False) -> None:
        super().__init__(detail)
        self.is_shown = is_shown


class Forbidden(TollgateError):
    """The API key or token that the request shows does not hold the scope that this route asks for, or it is another
    tenant's than the operator's, and the route shows or changes the whole system.
    """

    code = "forbidden"
    status = 403
    title = "Not allowed"


class AuthUnavailable(TollgateError):
    """The keys of this installation, or of the issuer of tokens, could not be read yet: nobody can be recognised."""

    code = "auth_unavailable"
    status = 503
    title = "Nobody can be recognised yet"


class InsecureConnection(TollgateError):
    """Somebody would sign in over plain http from another machine: key and cookie could be read on the way."""

    code = "insecure_connection"
    status = 403
    title = "Not over plain http"


class SignInFailed(TollgateError):
    """The issuer did not sign somebody in, or what it said does not belong to a sign-in that this browser began."""

    code = "sign_in_failed"
    status = 403
    title = "Not signed in"


class CrossSiteRequest(TollgateError):
    """A page of another site asked for this, or one of the console that is of an earlier visit."""

    code = "cross_site_request"
    status = 403
    title = "Asked for by another page"


class ReviewHeld(TollgateError):
    """Somebody else is looking at this case of the review queue; it is free again when they leave it."""

    code = "review_held"
    status = 409
    title = "Another reviewer holds this case"


class LedgerUnavailable(TollgateError):
    """The ledger database cannot be reached, or does not have what was decided yet."""

    code = "ledger_unavailable"
    status = 503
    title = "Ledger unavailable"


class NotReady(TollgateError):
    """No warmed scoring worker has answered yet."""

    code = "not_ready"
    status = 503
    title = "Not ready"


class SchemaInvalid(TollgateError):
    """The schema file has mistakes; `errors` names each with its line."""

    code = "schema_invalid"
    status = 422
    title = "The schema file is not valid"


class SettingInvalid(TollgateError):
    """A setting has a value that cannot be used."""

    code = "setting_invalid"
    status = 500
    title = "A setting is not valid"


class BundleRefused(TollgateError):
    """A model bundle failed its digest, its golden rows or its schema check; the old one keeps serving."""

    code = "bundle_refused"
    status = 409
    title = "Model bundle refused"


class ModelRefused(TollgateError):
    """Training ended with a model that must not serve (it loses to the linear baseline, or has too few labels)."""

    code = "model_refused"
    status = 409
    title = "Model refused"


class PromotionRefused(TollgateError):
    """The promotion gate does not make this model the champion; `force` overrules it, and that is recorded."""

    code = "promotion_refused"
    status = 409
    title = "Promotion refused"


class TrainingRunning(TollgateError):
    """A training is running already; there is never more than one."""

    code = "training_running"
    status = 409
    title = "A training is running"
