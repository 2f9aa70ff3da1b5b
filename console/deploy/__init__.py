"""Deployments: judging compose files, manifests and units, and writing sound ones."""
