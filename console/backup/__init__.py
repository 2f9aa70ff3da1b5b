"""Backups: made from one snapshot, published whole or not at all, and proven."""
