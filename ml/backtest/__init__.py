"""What other thresholds, another policy file or another model would have done with the decisions in the ledger.

docs/thresholds.md has the definitions. `report` is plain Python.
"""
