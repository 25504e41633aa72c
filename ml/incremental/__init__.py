"""A model that learns from each batch of labels (ADR 0022). Arrays in, a bundle out; `ml.promotion.incremental` brings
the ledger.
"""
