"""Simulated traffic against a running Tollgate: what `tollgate demo` is made of."""
