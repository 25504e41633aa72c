"""From a challenger to the champion and back: judged by the gate, recorded in the audit trail.

`ml.promotion.desk` is the door: workers, the command line and beat go through it. Importing it needs no science.
"""
