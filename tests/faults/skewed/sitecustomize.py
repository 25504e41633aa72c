"""A process whose clock is ahead: on its PYTHONPATH, this is run by Python itself before anything is imported.

Shifts what `time.time` says, for every module, by `TOLLGATE_TEST_CLOCK_AHEAD_S`; datetimes stay right.
"""

import os
import time

_true_time = time.time
_ahead_s = float(os.environ.get("TOLLGATE_TEST_CLOCK_AHEAD_S", "0"))
time.time = lambda: _true_time() + _ahead_s
