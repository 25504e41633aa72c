"""The benchmark: a load generator, the servers it is pointed at, and the report."""
