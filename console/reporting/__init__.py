"""The readiness report in full: every section with its figures, its proof and what is not known."""
