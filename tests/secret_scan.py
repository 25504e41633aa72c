"""Looks for secrets in everything that is committed: `python -m tests.secret_scan`, a part of `make check`.

detect-secrets finds what looks like one; what was looked at and is none stands in `KNOWN` with its reason, by file and
SHA-1. Line numbers do not count, so edits elsewhere in a file change nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings

REPOSITORY: Final = Path(__file__).resolve().parents[1]
KNOWN: Final = {
    ("deploy/ci/github-actions.yml", "622f00245349520d7ef90956bddb942f769a49ac"): "says that it is of no use",
    ("deploy/kubernetes/base/celery-exporter.yaml", "d219ef298432bfc419361c4e6c1e2bbda82b19bd"): "a secret's name",
    ("deploy/kubernetes/base/valkey.yaml", "bd3342ebf74e99678f9ab899edd1d6a31c7e8ac3"): "a secret's name",
    ("deploy/kubernetes/overlays/small/postgres.yaml", "5cb2ecbdb9e5b82ebd2d92808fec7eead74e07a2"): "a secret's name",
    ("docs/deployment.md", "186c3b9378ba73f035fc5861b30767327ffab477"): "the command that makes a password",
    ("tests/compose_site.py", "1e09c252575e0cdd249ea00138388a8bb5eba47c"): "the password of a test's own broker",
    ("tests/compose_site.py", "36a44983a20c72d95bf6b9216afc51e2d17102f7"): "the password of a test's own broker",
    ("tests/compose_site.py", "37b0f074a36b3fe5364a1b7b2bea5bc1dbc5c453"): "the password of a test's own broker",
    ("tests/integration/test_tls.py", "a8b0e49f08584d0837f13141da4404b60bb57e96"): "a wrong password",
    ("tests/tls_servers.py", "aa644d89f8c053cf94b59c7dcd089f2b719e2df3"): "the password of a test's own database",
    ("tests/unit/config/test_schema_load.py", "0994288d217c4fe38656bb5f469be160f42b6219"): "a schema's digest",
    ("tests/unit/config/test_tracing.py", "0a24796d4c71ce722a92f450f69dc36c60b21de4"): "the trace id of W3C's example",
    ("tests/unit/ml/test_incremental_memory.py", "e4055de792e64bf8433b9c794f2611cb65f4c487"): "the name of a test",
    ("tests/unit/ml/test_ledger.py", "0c07ef9eeac10a9228a92bf4a600706efd209acd"): "the digest of a row",
    ("web/auth/code_exchange.py", "c0eb1dc5057b4bc59b683c85f34d2f0545e85e46"): "the example of RFC 7636",
    ("web/auth/code_exchange.py", "af61ad46b6cd9e34e683e894976ded4441f2d9aa"): "the example of RFC 7636",
}
"""(file, SHA-1 of the text) -> why it is no secret."""


DIGESTS: Final = ("deploy/docker/hashes-web.txt", "deploy/docker/hashes-worker.txt")


def committed_files() -> list[str]:
    """Every file that git follows, relative to the repository, but those with digests, which look like secrets."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = set(listed.stdout.split("\0")) - {"", Path(__file__).relative_to(REPOSITORY).as_posix(), *DIGESTS}
    return sorted(name for name in names if (REPOSITORY / name).is_file())


def find_secrets(names: list[str]) -> list[str]:
    """One line per text that looks like a secret and is not known to be none."""
    with default_settings():
        found = SecretsCollection(root=str(REPOSITORY))
        found.scan_files(*names)
    return [
        f"{name}:{secret.line_number}: {secret.type} (SHA-1 {secret.secret_hash})"
        for name, secret in found
        if (name, secret.secret_hash) not in KNOWN
    ]


def main() -> int:
    """Print what was found; 1 when there is something."""
    found = find_secrets(committed_files())
    if not found:
        return 0
    sys.stdout.write("\n".join(["These look like secrets:", *found, "Take them out, or add the reason to KNOWN.\n"]))
    return 1


if __name__ == "__main__":
    sys.exit(main())
