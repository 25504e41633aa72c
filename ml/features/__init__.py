"""Features: one definition, evaluated online (one batch at a time) and offline (a whole data set)."""
