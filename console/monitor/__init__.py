"""What the server does right now: timings, sessions, locks, progress, waits, I/O."""
