"""Query plans: ask for them without changing anything, read them, charge their time, advise."""
