"""Clusters that pgBackRest backs up: its repository read, its commands driven."""
