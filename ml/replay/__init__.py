"""Replay: features and probability of a stored decision, rebuilt from the ledger and its bundle, and compared."""
