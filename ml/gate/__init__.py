"""The promotion gate: whether a challenger may take the champion's place, on evidence (ADR 0020).

Pure: arrays and facts in, a report out. `ml.gate.gate.decide` is the door; `ml.promotion` brings the evidence.
"""
