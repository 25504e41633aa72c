"""Budgets of requests: counted in Redis, per key and per address (ADR 35)."""
