"""One module per group of routes; each has a function that makes its blueprint."""
