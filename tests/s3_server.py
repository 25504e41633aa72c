"""A store that speaks S3's protocol, in a process of its own on loopback: moto's server, buckets in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from tests.servers import free_port

BUCKET = "payments"
START_LIMIT_S = 30.0
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "eu-central-1"}


@dataclass
class RunningS3:
    """The server and its one bucket."""

    endpoint_url: str
    process: subprocess.Popen[bytes]

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.endpoint_url, aws_access_key_id="tests", aws_secret_access_key="tests",
            region_name="eu-central-1",
        )  # fmt: skip

    def keys(self, prefix: str = "") -> list[str]:
        """Every object below a prefix."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]


@contextmanager
def running_s3() -> Iterator[RunningS3]:
    """A server with its bucket, until the block ends."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command, env={**os.environ, **CREDENTIALS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = RunningS3(f"http://127.0.0.1:{port}", process)
    try:
        _create_bucket(server)
        yield server
    finally:
        process.kill()
        process.wait(10)


def _create_bucket(server: RunningS3) -> None:
    until = time.monotonic() + START_LIMIT_S
    while True:
        assert server.process.poll() is None, "the server has ended"
        try:
            server.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            return
        except Exception:
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)
