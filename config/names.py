"""Names that processes must agree on: queues, tasks, Redis keys.

Every Redis key starts with `tollgate:`; the functions below are the only place that spells one.
"""

from __future__ import annotations

from typing import Final

QUEUE_SCORE: Final = "score"
QUEUE_ACCEPTED: Final = "accepted"
QUEUE_BULK: Final = "bulk"
QUEUE_TICKS: Final = "ticks"
QUEUE_BACKGROUND: Final = "background"
QUEUE_TRAIN: Final = "train"
QUEUES: Final = (QUEUE_SCORE, QUEUE_ACCEPTED, QUEUE_BULK, QUEUE_TICKS, QUEUE_BACKGROUND, QUEUE_TRAIN)

SCORING_QUEUES: Final = (QUEUE_SCORE, QUEUE_ACCEPTED)
"""What scoring workers consume, the first first: somebody waits for what is in it (ADR 0042)."""
BACKGROUND_QUEUES: Final = (QUEUE_TICKS, QUEUE_BACKGROUND)
"""What background workers consume, by turns."""

TASK_SCORE_BATCH: Final = "tollgate.score_batch"
TASK_SCORE_ACCEPTED: Final = "tollgate.score_accepted"
TASK_RECORD_LABEL: Final = "tollgate.record_label"
TASK_RECORD_LABELS: Final = "tollgate.record_labels"
TASK_DRAIN_JOURNAL: Final = "tollgate.drain_journal"
TASK_REAP_INBOX: Final = "tollgate.reap_inbox"
TASK_OPEN_BATCH: Final = "tollgate.open_batch"
TASK_SCORE_CHUNK: Final = "tollgate.score_chunk"
TASK_CHECK_DRIFT: Final = "tollgate.check_drift"
TASK_RETRAIN: Final = "tollgate.retrain"
TASK_KEEP_HOUSE: Final = "tollgate.keep_house"
TASK_ROLL_UP_QUALITY: Final = "tollgate.roll_up_quality"
TASK_LEARN_LABELS: Final = "tollgate.learn_labels"
TASK_PROMOTE_MODEL: Final = "tollgate.promote_model"
TASK_SWAP_MODEL: Final = "tollgate.swap_model"
TASK_MARK_CHAMPION: Final = "tollgate.mark_champion"
TASK_REPLAY_DECISION: Final = "tollgate.replay_decision"
TASK_WATCH_CHALLENGER: Final = "tollgate.watch_challenger"

CONTROL_RELOAD: Final = "tollgate_reload"

ROLES_WITH_A_MODEL: Final = ("scoring", "bulk")

KEY_PREFIX: Final = "tollgate:"
CHAMPION: Final = f"{KEY_PREFIX}champion"
CHALLENGER: Final = f"{KEY_PREFIX}challenger"
GUARD: Final = f"{KEY_PREFIX}guard"
SEQUENCE: Final = f"{KEY_PREFIX}sequence"
JOURNAL: Final = f"{KEY_PREFIX}journal"
JOURNAL_BULK: Final = f"{KEY_PREFIX}journal-bulk"
BULK_PAYLOADS: Final = f"{KEY_PREFIX}bulk-payloads"
JOURNAL_REFUSED: Final = f"{KEY_PREFIX}journal-refused"
JOURNAL_GROUP: Final = "ledger"
INBOX_DUE: Final = f"{KEY_PREFIX}inbox-due"
DEAD_LETTERS: Final = f"{KEY_PREFIX}dead-letters"
WORKERS: Final = f"{KEY_PREFIX}workers"
DRIFT: Final = f"{KEY_PREFIX}drift"
TRAINING_LOCK: Final = f"{KEY_PREFIX}training-lock"
INCREMENTAL_LOCK: Final = f"{KEY_PREFIX}incremental-lock"
ANSWERS_AWAITED: Final = f"{KEY_PREFIX}answers-awaited"
BATCHES: Final = f"{KEY_PREFIX}batches"
BATCHES_FINALIZING: Final = f"{KEY_PREFIX}batches-finalizing"
AUDIT_LOOK: Final = f"{KEY_PREFIX}audit-looked"
SHRUNK_UP_TO: Final = f"{KEY_PREFIX}shrunk-up-to"


SET_APART: Final = "transaction:"
_OTHER_WORK: Final = ("label:", "labels:", "batch:", "chunk:", SET_APART)


def result_key(transaction_id: str) -> str:
    """The digest of a decided transaction and, until the ledger has had it for a while, its decision."""
    return f"{KEY_PREFIX}result:{transaction_id}"


def seen_key(transaction_id: str) -> str:
    """What a transaction saw of its entities' history, kept until its decision is stored."""
    return f"{KEY_PREFIX}seen:{transaction_id}"


def history_key(entity: str, record: tuple[str, ...], value: str) -> str:
    """The packed event log of one entity. `record`: the fields kept per event; other fields, another log."""
    return f"{KEY_PREFIX}history:{entity}:{'+'.join(record)}:{value}"


def labels_key(entity: str, value: str) -> str:
    """The packed label log of one entity."""
    return f"{KEY_PREFIX}labels:{entity}:{value}"


def label_marker_key(label_id: str) -> str:
    """Set once a label has been recorded, so that a redelivery changes nothing."""
    return f"{KEY_PREFIX}label:{label_id}"


def verdict_key(decision_id: str) -> str:
    """What the label says that counts for a decision, kept until the ledger has it for sure."""
    return f"{KEY_PREFIX}verdict:{decision_id}"


def transaction_entry(transaction_id: str) -> str:
    """The inbox entry of a transaction: its id, set apart where a client's id looks like other kinds of work.

    >>> transaction_entry("t-1"), transaction_entry("label:7")
    ('t-1', 'transaction:label:7')
    """
    return f"{SET_APART}{transaction_id}" if transaction_id.startswith(_OTHER_WORK) else transaction_id


def transaction_of(entry_id: str) -> str:
    """The transaction id of a transaction's inbox entry."""
    return entry_id.removeprefix(SET_APART)


def inbox_key(entry_id: str) -> str:
    """Accepted work that is not finished."""
    return f"{KEY_PREFIX}inbox:{entry_id}"


def reply_key(web_process: str) -> str:
    """The reply list of one web process."""
    return f"{KEY_PREFIX}reply:{web_process}"


def bulk_payload_key(number: int | str) -> str:
    """What one chunk of a batch decided, until the ledger has it."""
    return f"{KEY_PREFIX}chunk:{number}"


def worker_key(worker: str) -> str:
    """The heartbeat of one worker: its role, model version, digest."""
    return f"{KEY_PREFIX}worker:{worker}"


def pulse_key(start_s: int) -> str:
    """What happened in the slot of the pulse that begins at this Unix second."""
    return f"{KEY_PREFIX}pulse:{start_s}"


def review_key(decision_id: str) -> str:
    """Who holds a case of the review queue, until the lease ends."""
    return f"{KEY_PREFIX}review:{decision_id}"


def replay_key(replay_id: str) -> str:
    """A replay of one decision that was asked for, and what came of it."""
    return f"{KEY_PREFIX}replay:{replay_id}"


def pair_key(champion: str, challenger: str, minute: int) -> str:
    """What scoring workers counted about two models (digests) on the same transactions in one minute of Unix time."""
    return f"{KEY_PREFIX}pair:{champion[:16]}:{challenger[:16]}:{minute}"


def model_job_key(job_id: str) -> str:
    """What was asked for about a model, and what came of it."""
    return f"{KEY_PREFIX}model-job:{job_id}"


def latest_model_job_key(kind: str) -> str:
    """The id of the newest job of a kind."""
    return f"{KEY_PREFIX}model-job-latest:{kind}"


def batch_key(batch_id: str) -> str:
    """The record of one batch: a hash, `config.queue.batches` says which fields."""
    return f"{KEY_PREFIX}batch:{batch_id}"


def dead_chunks_key(batch_id: str) -> str:
    """The inbox entries of a batch's chunks that were dead letters and are not done."""
    return f"{KEY_PREFIX}dead-chunks:{batch_id}"


def open_batches_key(client: str) -> str:
    """The batches of one client that are not finished."""
    return f"{KEY_PREFIX}open-batches:{client}"


def idempotency_key(scope: str, client: str, key: str) -> str:
    """What was answered to one Idempotency-Key of one client on one endpoint."""
    return f"{KEY_PREFIX}idempotency:{scope}:{client}:{key}"


def limit_key(counter: str) -> str:
    """How often one client used one budget in the present window; `counter` is the name that `limits` gives it."""
    return f"{KEY_PREFIX}limits:{counter}"


def session_key(digest: str) -> str:
    """Who is signed in with a browser, by the SHA-256 of what its cookie holds."""
    return f"{KEY_PREFIX}session:{digest}"


def pass_key(digest: str) -> str:
    """Who is let on to a page behind the proxy, by the SHA-256 of what that page's cookie holds."""
    return f"{KEY_PREFIX}pass:{digest}"


def pass_code_key(digest: str) -> str:
    """A pass that is on its way to its page, by the SHA-256 of the code in the redirect."""
    return f"{KEY_PREFIX}pass-code:{digest}"


def sign_in_key(digest: str) -> str:
    """A sign-in that waits for the issuer to send its browser back, by the SHA-256 of what the cookie holds."""
    return f"{KEY_PREFIX}sign-in:{digest}"
