"""How good decisions were in service, by cohort of event time. docs/quality.md has the definitions.

`ratio`, `cells`, `promise` and `summary` are plain Python: the web process imports them. The rest needs numpy.
"""
