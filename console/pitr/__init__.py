"""Point-in-time recovery: base backups and WAL kept together, audited, and gone back to."""
