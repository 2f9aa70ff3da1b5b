"""What an operator does: settings, checks, backups, restores, plans and the command line."""

__version__ = "0.1.0"
