"""Drift: whether today's transactions are still those that the model was trained on. Pure; alerts, never promotes."""
