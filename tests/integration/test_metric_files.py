"""A worker's counts live on in the same files when it is started again."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

COUNT_ONE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from workers.metric_files import count_in
    count_in(Path(sys.argv[1]), sys.argv)
    from workers import metrics
    metrics.LATE_DUPLICATES.inc()
    print(metrics.LATE_DUPLICATES._value.get())
    """
)


def test_a_worker_that_is_started_again_goes_on_counting_and_leaves_no_files_behind(tmp_path: Path) -> None:
    counts = [
        subprocess.run(
            [sys.executable, "-c", COUNT_ONE, str(tmp_path), "--hostname", "background@host"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(3)
    ]

    assert counts == ["1.0", "2.0", "3.0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "counter_background@host.db",
        "histogram_background@host.db",
    ]
