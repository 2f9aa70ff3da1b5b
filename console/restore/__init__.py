"""Emergency restore: beside the live database, then one transaction that changes the names."""
