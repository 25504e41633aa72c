"""Which thresholds cost least: from costs and reviewers to advice. docs/thresholds.md has the definitions.

`scores` and `advice` are plain Python: the web process imports them. `counting` needs numpy.
"""
