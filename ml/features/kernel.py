"""The one definition of every history feature, compiled by numba. Online and offline call this code.

Words: `t` event time of the transaction in question (Unix seconds), `own` its own kept values, `events` the
entity's log `(n, 1 + k)` of `(event_time_s, value_1 .. value_k)` in arrival order, `labels` its label log
`(m, 4)` of `(transaction_time_s, known_at_s, is_fraud, weight)`. A window of length `w` that ends `d`
before the transaction holds the events with

    t - d - w < event_time <= t - d

so events later than the transaction are never seen, and of two events with equal time the earlier arrival
is seen by the later one. Values `x` are the non-missing values of one column in the window, `m` of them:

    count             events in the window (with `of`: m)
    sum, mean         sum(x), sum(x) / m
    std               sqrt(sum((x - mean)^2) / (m - 1))
    min, max          of x
    distinct          how many different x
    last              the x with the greatest event time, among those the latest arrival
    time_since_last   (t - latest event time) / 3600, hours
    ratio_to_mean     own / mean
    zscore            (own - mean) / std
    label_count       sum of weight over labels of transactions in the window with known_at <= t, at least 0
    fraud_count       the same over fraudulent ones
    fraud_rate        fraud_count / max(label_count, events in the window)
    fraud_streak      sum of weight over fraudulent labels of transactions later than the latest genuine one
    fraud_streak_age  (t - event time of the first transaction of that streak) / 3600, hours

What is not defined (nothing in the window, std of one value, a mean of 0 to divide by) is the feature's
default. A transaction without the entity (`t` is NaN) has NaN everywhere. Sums run in log order, without
fastmath, so that the same log gives the same bits everywhere. All compiled functions live in this file
because numba's cache only watches the file that a function is in.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ml.features.compiled import Floats, Integers, compiled

# Opcodes. COUNT_VALUES is `count` with `of`.
(
    COUNT, COUNT_VALUES, SUM, MEAN, STD, MIN, MAX, DISTINCT, LAST,
    TIME_SINCE_LAST, RATIO_TO_MEAN, ZSCORE, LABEL_COUNT, FRAUD_COUNT, FRAUD_RATE, FRAUD_STREAK, FRAUD_STREAK_AGE,
) = range(17)  # fmt: skip
OPCODES: Final = 17

# A row of `windows`: length, delay, column of `events` (0: none), its operations [first, end), what else is needed.
WINDOW_S, DELAY_S, COLUMN, FIRST, END, NEEDS_STD, NEEDS_DISTINCT, NEEDS_LABELS, NEEDS_STREAK = range(9)
WINDOW_COLUMNS: Final = 9
# A row of `operations`: which aggregate, value when undefined, where it goes, whether a value already there stays.
OPCODE, DEFAULT, TARGET, KEEPS_SENT = range(4)
OPERATION_COLUMNS: Final = 4


@compiled
def _scan(
    events: Floats, after: float, until: float, column: int
) -> tuple[int, float, int, float, float, float, float]:
    """Events in the window, latest event time, then of the column: m, sum, min, max, last."""
    count, latest = 0, -math.inf
    m, total, low, high, last, last_at = 0, 0.0, math.inf, -math.inf, math.nan, -math.inf
    for row in range(events.shape[0]):
        at = events[row, 0]
        if not (after < at <= until):
            continue
        count += 1
        latest = max(latest, at)
        value = events[row, column]
        if column == 0 or math.isnan(value):
            continue
        m += 1
        total += value
        low = min(low, value)
        high = max(high, value)
        if at >= last_at:
            last, last_at = value, at
    return count, latest, m, total, low, high, last


@compiled
def _std(events: Floats, after: float, until: float, column: int, m: int, mean: float) -> float:
    """Sample standard deviation of the column in the window; NaN for fewer than two values."""
    if m < 2:
        return math.nan
    total = 0.0
    for row in range(events.shape[0]):
        value = events[row, column]
        if after < events[row, 0] <= until and not math.isnan(value):
            total += (value - mean) * (value - mean)
    return math.sqrt(total / (m - 1))


@compiled
def _distinct(events: Floats, after: float, until: float, column: int, m: int) -> int:
    """How many different values the column has in the window: an open-addressing hash set at most half
    full.
    """
    # numba's sort would do too, but takes 1.4 s to compile.
    size = 2
    while size < 2 * m:
        size *= 2
    seen = np.empty(size, np.float64)
    seen[:] = math.nan
    different = 0
    for row in range(events.shape[0]):
        value = events[row, column]
        if not (after < events[row, 0] <= until) or math.isnan(value):
            continue
        slot = _slot(value, size)
        while not math.isnan(seen[slot]) and seen[slot] != value:
            slot = (slot + 1) % size
        if math.isnan(seen[slot]):
            seen[slot] = value
            different += 1
    return different


@compiled
def _slot(value: float, size: int) -> int:
    """Where to look for `value` first, 0 <= slot < size: its fraction bits times the golden ratio (Knuth
    6.4).
    """
    if math.isinf(value):
        return 0
    fraction, exponent = math.frexp(value)
    spread = (fraction + exponent) * 0.6180339887498949e6
    return int((spread - math.floor(spread)) * size)


@compiled
def _labels(labels: Floats, after: float, until: float, t: float) -> tuple[float, float]:
    """Labels and frauds of transactions in the window, as known at `t`.

    Never negative: where the log was trimmed between a label and its revision, the revision stands alone.
    """
    known, frauds = 0.0, 0.0
    for row in range(labels.shape[0]):
        if after < labels[row, 0] <= until and labels[row, 1] <= t:
            known += labels[row, 3]
            frauds += labels[row, 2] * labels[row, 3]
    return max(known, 0.0), max(frauds, 0.0)


@compiled
def _stands(labels: Floats, row: int, t: float) -> bool:
    """Whether the verdict of a label is still held at `t`: as often given as taken back, it is not."""
    weight = 0.0
    for other in range(labels.shape[0]):
        same = labels[other, 0] == labels[row, 0] and labels[other, 2] == labels[row, 2]
        if same and labels[other, 1] <= t:
            weight += labels[other, 3]
    return weight > 0.0


@compiled
def _streak(labels: Floats, after: float, until: float, t: float) -> tuple[float, float]:
    """Frauds since the latest genuine transaction, as known at `t`, and when the first of them happened.

    Backwards, because then the latest come first and `_stands` runs once per fraud of the streak.
    """
    genuine_at, streak, began = -math.inf, 0.0, math.inf
    for row in range(labels.shape[0] - 1, -1, -1):
        at = labels[row, 0]
        known = after < at <= until and labels[row, 1] <= t
        if known and labels[row, 2] == 0.0 and at > genuine_at and _stands(labels, row, t):
            genuine_at = at
    for row in range(labels.shape[0] - 1, -1, -1):
        at = labels[row, 0]
        known = after < at <= until and labels[row, 1] <= t
        if not known or labels[row, 2] == 0.0 or at <= genuine_at:
            continue
        streak += labels[row, 3]
        if at < began and _stands(labels, row, t):
            began = at
    return max(streak, 0.0), began


@compiled
def _or_nothing(value: float, size: float) -> float:
    """`value`, or NaN where nothing was counted."""
    return value if size > 0 else math.nan


@compiled
def _ratio(numerator: float, denominator: float) -> float:
    """The quotient, or NaN where there is nothing to divide by."""
    return numerator / denominator if denominator != 0.0 else math.nan


@compiled
def _measure(t: float, own: Floats, events: Floats, labels: Floats, window: Floats, measured: Floats) -> None:
    """Fill `measured` (one place per opcode, NaN where not defined) for one row of `windows`."""
    until = t - window[DELAY_S]
    after = until - window[WINDOW_S]
    column = int(window[COLUMN])
    count, latest, m, total, low, high, last = _scan(events, after, until, column)
    mean = _ratio(total, float(m))
    measured[:] = math.nan
    measured[COUNT] = _or_nothing(float(count), count)
    measured[TIME_SINCE_LAST] = _or_nothing((t - latest) / 3600.0, count)
    if column > 0:
        measured[COUNT_VALUES] = _or_nothing(float(m), m)
        measured[SUM] = _or_nothing(total, m)
        measured[MEAN] = mean
        measured[MIN] = _or_nothing(low, m)
        measured[MAX] = _or_nothing(high, m)
        measured[LAST] = last
        measured[RATIO_TO_MEAN] = _ratio(own[column - 1], mean)
    if window[NEEDS_STD] != 0.0:
        # Of equal values it is 0: their mean may differ from them in its last bit, and a z-score then is 10^17.
        std = 0.0 if m >= 2 and low == high else _std(events, after, until, column, m, mean)
        measured[STD] = std
        measured[ZSCORE] = _ratio(own[column - 1] - mean, std)
    if window[NEEDS_DISTINCT] != 0.0:
        measured[DISTINCT] = _or_nothing(float(_distinct(events, after, until, column, m)), m)
    if window[NEEDS_LABELS] != 0.0:
        known, frauds = _labels(labels, after, until, t)
        measured[LABEL_COUNT] = _or_nothing(known, known)
        measured[FRAUD_COUNT] = _or_nothing(frauds, known)
        measured[FRAUD_RATE] = _ratio(frauds, max(known, float(count)))
        if window[NEEDS_STREAK] != 0.0:
            streak, began = _streak(labels, after, until, t)
            measured[FRAUD_STREAK] = _or_nothing(streak, known)
            measured[FRAUD_STREAK_AGE] = _or_nothing((t - began) / 3600.0, streak)


@compiled
def history_features(
    t: float, own: Floats, events: Floats, labels: Floats, windows: Floats, operations: Floats, out: Floats
) -> None:
    """Compute every declared feature of one entity for one transaction into `out`, by the formulae above.

    `t` NaN: the transaction has no such entity. `own`: (k,), `events`: (n, 1 + k), `labels`: (m, 4),
    `windows` and `operations` as compiled by `ml.features.plan`, `out`: (p,) one model row, written at the
    operations' targets.
    """
    measured = np.empty(OPCODES, np.float64)
    for row in range(windows.shape[0]):
        window = windows[row]
        _measure(t, own, events, labels, window, measured)
        for place in range(int(window[FIRST]), int(window[END])):
            operation = operations[place]
            target = int(operation[TARGET])
            if operation[KEEPS_SENT] != 0.0 and not math.isnan(out[target]):
                continue
            value = measured[int(operation[OPCODE])]
            if math.isnan(value) and not math.isnan(t):
                value = operation[DEFAULT]
            out[target] = value


@compiled
def history_features_of_batch(
    times: Floats,
    own: Floats,
    events: Floats,
    event_bytes: Integers,
    labels: Floats,
    label_bytes: Integers,
    windows: Floats,
    operations: Floats,
    X: Floats,
) -> None:
    """`history_features` for every row of a batch, whose logs lie one after the other in `events` and `labels`.

    `times`: (n,), `own`: (n, k), `event_bytes`, `label_bytes`: (n,) length of each row's log in bytes, `X`: (n, p).
    """
    event_size, label_size = 8 * events.shape[1], 8 * labels.shape[1]
    event_end, label_end = 0, 0
    for row in range(times.shape[0]):
        event_start, label_start = event_end, label_end
        event_end += event_bytes[row] // event_size
        label_end += label_bytes[row] // label_size
        seen, known = events[event_start:event_end], labels[label_start:label_end]
        history_features(times[row], own[row], seen, known, windows, operations, X[row])


@compiled
def replay_history_features(
    rows: Integers,
    event_starts: Integers,
    events: Floats,
    label_starts: Integers,
    label_before: Integers,
    labels: Floats,
    history_events: int,
    windows: Floats,
    operations: Floats,
    X: Floats,
) -> None:
    """`history_features` for every transaction of every entity, each seeing only what arrived before it.

    `events`: (n, 1 + k) grouped by entity, in arrival order inside; entity `e` has
    `events[event_starts[e]:event_starts[e + 1]]`, and `rows[i]` is the row of `X` (its place in arrival
    order) of `events[i]`. `labels` likewise; `label_before[j]` is the arrival place of the first
    transaction that sees `labels[j]`, ascending inside an entity. The last `history_events` records of each
    log are seen.
    """
    for entity in range(event_starts.shape[0] - 1):
        first, first_label = event_starts[entity], label_starts[entity]
        label_end = first_label
        for place in range(first, event_starts[entity + 1]):
            row = rows[place]
            while label_end < label_starts[entity + 1] and label_before[label_end] <= row:
                label_end += 1
            seen = events[max(first, place - history_events) : place]
            known = labels[max(first_label, label_end - history_events) : label_end]
            history_features(events[place, 0], events[place, 1:], seen, known, windows, operations, X[row])
