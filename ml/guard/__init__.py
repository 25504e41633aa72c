"""Guardrails for a model that has just begun to decide: is it as fast, as quiet and as sane as the one beside it?

Pure and without numpy: the background worker checks every few seconds.
"""
