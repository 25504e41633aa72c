"""What the web side needs from the rest, as protocols; the real ones and those in memory keep the same promises.

`web.gateway` (the real queue) and `web.memory_gateway` (in this process) both are a `ScoringGateway`. Views
know only these modules, so that none of them can tell which one answers.
"""
