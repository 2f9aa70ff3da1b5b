"""The index lab: what indexes gain and cost, measured on a copy and never on the live database."""
