"""`tollgate quality-report`: what a model is worth on public transactions, offline, over HTTP, and week by week."""
