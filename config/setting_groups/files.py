"""Part of `config.settings.Settings`."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Files(BaseModel):
    """Batches and files of labels."""

    bulk_chunk_rows: int = Field(500, ge=1, le=10_000, description="Rows of a batch that are scored together.")
    bulk_chunks_ahead: int = Field(4, ge=1, le=256, description="Chunks of one batch that are out at a time.")
    bulk_journal_chunks: int = Field(
        64, ge=1, description="Chunks that may wait for the ledger before bulk workers pause."
    )
    bulk_rest: float = Field(
        8.0,
        ge=0,
        le=100,
        description="Bulk workers rest this many times as long as they worked while somebody waits for single answers.",
    )
    bulk_max_bytes: int = Field(1_073_741_824, ge=1, description="Largest upload of a batch, as sent.")
    bulk_max_unpacked_bytes: int = Field(
        4_294_967_296, ge=1, description="Largest batch after unpacking gzip; a bomb ends there."
    )
    bulk_max_rows: int = Field(5_000_000, ge=1, description="Most rows of one batch.")
    bulk_batches_per_client: int = Field(8, ge=1, description="Unfinished batches that one client may have.")
    bulk_results_ttl_s: int = Field(86_400, ge=60, description="How long a finished batch's results can be read.")
    feedback_max_bytes: int = Field(67_108_864, ge=1, description="Largest file of labels (NDJSON or CSV), as sent.")
